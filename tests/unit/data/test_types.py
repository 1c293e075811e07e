"""Joined types hold the values of both, in any order."""

from decimal import Decimal
from itertools import combinations_with_replacement

import pyarrow as pa
import pytest

from airflow_mlops_provider.data.types import cast, join_types

DICTIONARY = pa.dictionary(pa.int32(), pa.string())
KINDS = [
    *(pa.null(), pa.bool_(), pa.int8(), pa.int64(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()),
    *(pa.decimal128(9, 2), pa.string(), pa.large_string(), pa.string_view(), DICTIONARY, pa.binary(), pa.date32()),
    *(pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Rome")),
    pa.time64("us"),
]


@pytest.mark.parametrize(("first", "second"), list(combinations_with_replacement(KINDS, 2)), ids=str)
def test_joining_is_symmetric_and_null_gives_way(first: pa.DataType, second: pa.DataType) -> None:
    joined = join_types(first, second)
    assert joined == join_types(second, first)
    if first == pa.null():
        assert joined == second


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.uint64(), pa.uint8(), pa.uint64()),
        (pa.uint64(), pa.int64(), pa.float64()),
        (pa.decimal128(9, 2), pa.float64(), pa.float64()),
        (DICTIONARY, pa.string(), pa.string()),
        (DICTIONARY, pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.string(), pa.string_view(), pa.large_string()),
        (pa.date32(), pa.timestamp("ms"), pa.timestamp("ms")),
        (pa.timestamp("us", "UTC"), pa.timestamp("s", "Europe/Rome"), pa.timestamp("us", "UTC")),
        (pa.timestamp("us", "UTC"), pa.timestamp("us"), None),
        (pa.bool_(), pa.int64(), None),
        (pa.string(), pa.int64(), None),
        (pa.string(), pa.binary(), None),
    ],
    ids=str,
)
def test_the_joined_type_is_the_narrowest_that_holds_both(
    first: pa.DataType, second: pa.DataType, joined: pa.DataType | None
) -> None:
    assert join_types(first, second) == joined


def test_integers_beyond_2_to_the_53_become_floats_by_rounding() -> None:
    assert cast(pa.array([2**60 + 1]), pa.float64()).to_pylist() == [2.0**60]


def test_decimals_become_the_floats_that_are_written_alike() -> None:
    # Arrow's own cast of 123.456 to float64 divides, and ends beside it.
    for kind in (pa.decimal128(30, 3), pa.decimal256(50, 3)):
        texts = [f"{i}.{i % 1000:03}" for i in range(0, 10**7, 997)]
        array = pa.array([Decimal(text) for text in texts], kind)
        assert cast(array, pa.float64()).to_pylist() == [float(text) for text in texts]


def test_a_timestamp_that_does_not_fit_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        cast(pa.array([2**50], pa.timestamp("s")), pa.timestamp("ns"))
