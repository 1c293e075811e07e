"""Values of database drivers get the same Arrow type whichever rows they come with."""

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import permutations
from math import inf
from typing import Any

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.sql_types import join_columns, to_arrow
from airflow_mlops_provider.data.types import cast

ROME = timezone(timedelta(hours=2))
UUID = uuid.UUID(int=7)
ID = 8912345678901234501
WIDE, WIDER = pa.decimal128(38, 0), pa.decimal256(76, 0)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([None, None], pa.null(), [None, None]),
        ([1, None], pa.int64(), [1, None]),
        ([2**63, 1], WIDE, [Decimal(2**63), Decimal(1)]),
        ([Decimal(2**63 - 1), 1, None], pa.int64(), [2**63 - 1, 1, None]),
        ([Decimal("8912345678901234501"), Decimal("8912345678901234502")], pa.int64(), [ID, ID + 1]),
        ([Decimal("-1E+19"), Decimal(7)], WIDE, [Decimal(-(10**19)), Decimal(7)]),
        ([Decimal(10**38), None], WIDER, [Decimal(10**38), None]),
        ([10**76, -(10**400)], pa.float64(), [1e76, -inf]),
        ([0.5, 10**400], pa.float64(), [0.5, inf]),
        ([Decimal("5.00"), None], pa.float64(), [5.0, None]),
        ([Decimal("Infinity"), Decimal(1)], pa.float64(), [inf, 1.0]),
        ([True, None], pa.bool_(), [True, None]),
        ([1, Decimal("29.85"), 0.5], pa.float64(), [1.0, 29.85, 0.5]),
        ([Decimal("29.85"), None], pa.float64(), [29.85, None]),
        (["a", ""], pa.string(), ["a", ""]),
        ([date(2024, 5, 6)], pa.date32(), [date(2024, 5, 6)]),
        ([date(2024, 5, 6), datetime(1, 1, 1, 2)], pa.timestamp("us"), [datetime(2024, 5, 6), datetime(1, 1, 1, 2)]),
        ([datetime(2024, 5, 6, 2, tzinfo=ROME)], pa.timestamp("us", "UTC"), [datetime(2024, 5, 6, tzinfo=UTC)]),
        ([time(1, 2)], pa.time64("us"), [time(1, 2)]),
        ([time(12, tzinfo=ROME), None], pa.string(), ["12:00:00+02:00", None]),
        ([time(12, tzinfo=ROME), time(1)], pa.string(), ["12:00:00+02:00", "01:00:00.000000"]),
        ([timedelta(days=-1)], pa.duration("us"), [timedelta(days=-1)]),
        ([memoryview(b"a"), b"b"], pa.binary(), [b"a", b"b"]),
        ([UUID], pa.string(), [str(UUID)]),
        ([{"b": 1, "a": [Decimal(1)]}], pa.string(), ['{"a": ["1"], "b": 1}']),
        ([[datetime(2024, 5, 6, 2, tzinfo=ROME)]], pa.string(), ['["2024-05-06 00:00:00+00:00"]']),
        ([{"at": datetime(2024, 5, 6, 2, tzinfo=ROME)}], pa.string(), ['{"at": "2024-05-06 00:00:00+00:00"}']),
        ([[datetime(2024, 5, 6, 2)]], pa.string(), ['["2024-05-06 02:00:00"]']),
        ([Decimal(2**63), "a"], pa.string(), [str(2**63), "a"]),
        ([1, "a", True, 1.0], pa.string(), ["1", "a", "true", "1"]),
    ],
)
def test_values_get_the_type_that_holds_them(values: list[Any], kind: pa.DataType, expected: list[Any]) -> None:
    array = to_arrow(values, name="x")
    assert array.type == kind
    assert array.to_pylist() == expected


def test_not_a_number_stays_one_and_is_not_null() -> None:
    array = to_arrow([Decimal("NaN"), None], name="x")
    assert array.null_count == 1
    assert str(array[0].as_py()) == "nan"


@pytest.mark.parametrize(
    "values",
    [
        (1, 2.5, None),
        (1, "a", 2.5),
        (True, 1, "b"),
        (True, 2),
        (date(2024, 5, 6), datetime(2024, 5, 6, 7)),
        (None, 1, Decimal("0.1")),
        (Decimal(1), Decimal("2.5"), Decimal(2**63)),
        (Decimal(1), 2**63, None, Decimal(10**38)),
        (1, Decimal(2**63), "a"),
        (10**38, 0.1, Decimal(10**80)),
        (Decimal("9007199254740993"), Decimal("NaN"), Decimal(2**64 + 2**11 + 1)),
        (time(1), time(12, tzinfo=ROME), None),
    ],
    ids=str,
)
def test_batches_of_one_row_join_to_what_one_batch_gives(values: tuple[Any, ...]) -> None:
    for order in permutations(values):
        together = to_arrow(order, name="x")
        apart = [to_arrow([value], name="x") for value in order]
        kind = pa.null()
        for array in apart:
            kind = join_columns(kind, array.type, name="x")
        assert kind == together.type
        # As text, because NaN is not equal to itself.
        assert str(pa.concat_arrays([cast(array, kind) for array in apart])) == str(together)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([b"a", "b"], "'x' of the query mixes bytes"),
        ([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)], "'x' of the query mixes times"),
        ([date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)], "'x' of the query mixes times"),
    ],
)
def test_values_that_do_not_go_together_are_refused_in_one_batch_and_in_two(values: list[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        to_arrow(values, name="x")
    first, second = (to_arrow([value], name="x").type for value in values)
    with pytest.raises(InputError, match=words):
        join_columns(first, second, name="x")
