from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_keys import key_codes, value_codes

PARTS = st.tuples(st.one_of(st.none(), st.integers(-3, 3)), st.one_of(st.none(), st.sampled_from(["", "a", "b"])))


def table(rows: list[tuple[int | None, str | None]]) -> pa.Table:
    return pa.table(
        {"a": pa.array([one for one, _ in rows], pa.int64()), "b": pa.array([one for _, one in rows], pa.string())}
    )


@given(left=st.lists(PARTS, max_size=12), right=st.lists(PARTS, max_size=12))
def test_rows_have_one_number_exactly_where_they_have_one_whole_key(
    left: list[tuple[int | None, str | None]], right: list[tuple[int | None, str | None]]
) -> None:
    ours, theirs = key_codes([table(left), table(right)], keys=["a", "b"])
    codes = [*ours.tolist(), *theirs.tolist()]
    rows = [*left, *right]
    for code, row in zip(codes, rows, strict=True):
        assert (code == -1) == (None in row)
        if code != -1:
            assert [other == code for other in codes] == [other == row for other in rows]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.array([1, 2], pa.int32()), pa.array([2, 1], pa.int64())),
        (pa.array(["x", "y"], pa.string()), pa.array(["y", "x"], pa.large_string())),
        (pa.array(["x", "y"]).dictionary_encode(), pa.array(["y", "x"])),
        (pa.array([date(2026, 1, 1), date(2026, 1, 2)]), pa.array([datetime(2026, 1, 2), datetime(2026, 1, 1)])),
    ],
)
def test_keys_of_like_types_meet(left: pa.Array, right: pa.Array) -> None:
    ours, theirs = key_codes([pa.table({"id": left}), pa.table({"id": right})], keys=["id"])
    assert ours.tolist() == theirs.tolist()[::-1]


def test_text_and_numbers_do_not_meet_and_the_types_are_named() -> None:
    with pytest.raises(InputError, match="'id' has types that cannot be compared: string and int64"):
        key_codes([pa.table({"id": ["007"]}), pa.table({"id": [7]})], keys=["id"])


def test_a_null_and_nan_are_values_among_values() -> None:
    nan = float("nan")
    codes = value_codes([pa.chunked_array([pa.array([1.0, None, nan, 1.0, None, nan, 0.0], pa.float64())])]).tolist()
    assert codes[:3] == codes[3:6]
    assert len(set(codes)) == 4
