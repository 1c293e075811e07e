"""The distinct count is right to a few percent from 0 to millions, and does not depend on order or batching."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.sketch import (
    N_REGISTERS,
    DistinctSketch,
    hash_floats,
    hash_integers,
    hash_texts,
    merge_registers,
)


def estimate(hashes: np.ndarray) -> float:
    sketch = DistinctSketch()
    sketch.add(hashes)
    return sketch.estimate()


@pytest.mark.parametrize("n", [0, 1, 10, 300, 1_000, 3_000, 30_000, 1_000_000])
@pytest.mark.parametrize("kind", ["sequence", "random", "text"])
def test_the_estimate_is_within_four_standard_errors(n: int, kind: str) -> None:
    if kind == "text":
        hashes = hash_texts(pa.array([f"user_{i:07d}" for i in range(n)], pa.large_string()))
    else:
        values = np.arange(n) if kind == "sequence" else np.random.default_rng(n).integers(-(2**63), 2**63 - 1, n)
        hashes = hash_integers(values)
    # Flajolet et al. 2007: 1.04 / sqrt(m).
    assert abs(estimate(hashes) - n) <= max(0.5, 4 * 1.04 / np.sqrt(N_REGISTERS) * n)


def test_the_mean_of_many_estimates_has_no_bias() -> None:
    ratios = [estimate(hash_integers(np.arange(5_000) + 10_000 * i)) / 5_000 for i in range(100)]
    assert np.mean(ratios) == pytest.approx(1, abs=4 * 0.0325 / 10)
    assert np.std(ratios) == pytest.approx(0.0325, rel=0.3)


@given(parts=st.lists(st.lists(st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=4))
def test_a_merged_sketch_is_the_sketch_of_all_values(parts: list[list[int]]) -> None:
    merged = bytes(N_REGISTERS)
    for part in parts:
        one = DistinctSketch()
        one.add(hash_integers(np.array(part, dtype=np.int64)))
        merged = merge_registers(one.to_bytes(), merged)
    whole = DistinctSketch()
    whole.add(hash_integers(np.array([value for part in parts for value in part], dtype=np.int64)))
    assert merged == whole.to_bytes()


def test_equal_numbers_hash_alike_in_every_type() -> None:
    for dtype in ("int8", "int16", "uint8", "uint64", "int64"):
        assert (
            hash_integers(np.array([0, 5, 127], dtype=dtype)).tolist()
            == hash_floats(np.array([-0.0, 5.0, 127.0])).tolist()
        )
    assert len(set(hash_floats(np.array([0.5, 0.25, 1e300, -1e300, 3.0])).tolist())) == 5
    assert len(set(hash_integers(np.array([2**63, 2**63 + 1], dtype=np.uint64)).tolist())) == 2


@given(texts=st.lists(st.text(max_size=20), max_size=50), start=st.integers(0, 5))
def test_texts_hash_by_their_value_alone(texts: list[str], start: int) -> None:
    array = pa.array(texts, pa.large_string())
    hashes = hash_texts(array)
    alone = [int(hash_texts(pa.array([text], pa.large_string()))[0]) for text in texts]
    assert hashes.tolist() == alone
    assert hash_texts(array.slice(start)).tolist() == alone[start:]
    assert len(set(alone)) == len(set(texts))


def test_short_texts_that_differ_a_little_do_not_collide() -> None:
    texts = ["", "\0", "\0\0", "a", "a\0", "aa", "ab", "ba", "aab", "aba", "baa", *(f"{i}" for i in range(50_000))]
    assert len(set(hash_texts(pa.array(texts, pa.large_string())).tolist())) == len(texts)


def test_a_text_of_any_length_is_hashed_in_little_memory() -> None:
    long = "x" * (1 << 19)
    hashes = hash_texts(pa.array(["a", long, "b", long + "y", long], pa.large_string()))
    assert hashes[1] == hashes[4]
    assert len(set(hashes.tolist())) == 4
    assert hashes[[0, 2]].tolist() == hash_texts(pa.array(["a", "b"], pa.large_string())).tolist()
