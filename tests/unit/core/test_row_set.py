"""Row sets never forget a row, stay at two bytes a row, and err at the rate the theory gives."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_set import RowSet

hash_arrays = hnp.arrays(np.uint64, st.integers(0, 300), elements=st.integers(0, 2**64 - 1))


def random_hashes(*, seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


@given(hash_arrays)
def test_every_row_given_is_contained_also_after_storage(hashes: np.ndarray) -> None:
    rows = RowSet.of(hashes)
    assert rows.contains(hashes).all()
    again = RowSet.from_bytes(rows.to_bytes())
    assert again == rows
    assert again.contains(hashes).all()


@given(hash_arrays)
def test_a_set_takes_two_bytes_a_distinct_row_and_a_small_constant(hashes: np.ndarray) -> None:
    twice = RowSet.of(np.concatenate([hashes, hashes[::-1]]))
    assert twice.n_rows == len(np.unique(hashes))
    assert len(twice.to_bytes()) <= 2 * twice.n_rows + 64
    assert twice == RowSet.of(hashes)


def test_unseen_rows_are_taken_for_members_at_the_theoretical_rate() -> None:
    n_members, n_unseen = 50_000, 1_000_000
    rows = RowSet.of(random_hashes(seed=1, n=n_members))
    n_taken = int(rows.contains(random_hashes(seed=2, n=n_unseen)).sum())
    # Bloom (1970) with m = 16 n and k = 11.
    expected = (1 - math.exp(-11 / 16)) ** 11
    assert rows.false_positive_rate == pytest.approx(expected, rel=1e-9)
    assert binomtest(n_taken, n_unseen, expected).pvalue > 0.001


@pytest.mark.parametrize("n_members", [1, 5, 10, 15, 16, 20, 50])
def test_small_sets_err_below_the_documented_bound(n_members: int) -> None:
    unseen = random_hashes(seed=9, n=20_000)
    rates = [RowSet.of(random_hashes(seed=s, n=n_members)).contains(unseen).mean() for s in range(50)]
    assert np.mean(rates) < 0.0012


def test_consecutive_hashes_are_told_apart() -> None:
    even = np.arange(0, 200_000, 2, dtype=np.uint64)
    assert RowSet.of(even).contains(even + np.uint64(1)).mean() < 0.001


def test_the_empty_set_contains_nothing() -> None:
    empty = RowSet.of(np.array([], dtype=np.uint64))
    assert empty.false_positive_rate == 0.0
    assert not empty.contains(random_hashes(seed=3, n=1000)).any()
    assert not RowSet.from_bytes(empty.to_bytes()).contains(random_hashes(seed=3, n=1000)).any()


@given(st.data())
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    stored = bytearray(RowSet.of(random_hashes(seed=4, n=40)).to_bytes())
    if data.draw(st.booleans(), "cut"):
        stored = stored[: data.draw(st.integers(0, len(stored) - 1))]
    else:
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InputError, match="row set"):
        RowSet.from_bytes(bytes(stored))


def test_a_later_version_is_named_in_the_refusal() -> None:
    stored = bytearray(RowSet.of(random_hashes(seed=5, n=3)).to_bytes())
    stored[6] = 9
    with pytest.raises(InputError, match=r"version 9 .* reads version 1"):
        RowSet.from_bytes(bytes(stored))


@pytest.mark.parametrize(
    "hashes",
    [np.array([1, 2]), np.array([[1]], dtype=np.uint64), np.array([1.0]), [1, 2]],
    ids=["int64", "2d", "float", "list"],
)
def test_anything_but_row_hashes_is_refused(hashes: object) -> None:
    with pytest.raises(InputError, match="one-dimensional uint64"):
        RowSet.of(hashes)  # type: ignore[arg-type]  # the wrong type is the point
