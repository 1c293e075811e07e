"""Every Arrow type has a kind, and the numbers of a column do not depend on how it is stored."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.column_values import decimals_of, integers_of, is_whole, kind_of, numbers_of, plain

KINDS = {
    pa.null(): "null",
    pa.bool_(): "boolean",
    pa.int8(): "numeric",
    pa.uint64(): "numeric",
    pa.float16(): "numeric",
    pa.float64(): "numeric",
    pa.decimal128(38, 10): "numeric",
    pa.decimal256(50, 10): "numeric",
    pa.string(): "text",
    pa.large_string(): "text",
    pa.string_view(): "text",
    pa.dictionary(pa.int8(), pa.string()): "text",
    pa.dictionary(pa.int8(), pa.int64()): "numeric",
    pa.date32(): "datetime",
    pa.date64(): "datetime",
    pa.timestamp("ns"): "datetime",
    pa.timestamp("ms", tz="Europe/Berlin"): "datetimetz",
    pa.time32("s"): "time",
    pa.time64("us"): "time",
    pa.duration("s"): "duration",
    pa.binary(): "unsupported",
    pa.list_(pa.int8()): "unsupported",
    pa.struct([("x", pa.int8())]): "unsupported",
    pa.map_(pa.string(), pa.int8()): "unsupported",
    pa.uuid(): "unsupported",
    pa.json_(pa.string()): "text",
}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_type_has_its_kind(kind: pa.DataType) -> None:
    assert kind_of(kind) == KINDS[kind]


def test_only_integers_are_whole() -> None:
    assert [
        is_whole(kind) for kind in (pa.uint8(), pa.dictionary(pa.int8(), pa.int16()), pa.float64(), pa.bool_())
    ] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint8(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(25, 2)],
    ids=str,
)
def test_a_number_is_the_same_in_every_type(kind: pa.DataType) -> None:
    array = pa.array([9, 0, 3, 100]).cast(kind)
    assert numbers_of(array.slice(1)).tolist() == [0.0, 3.0, 100.0]
    assert decimals_of(array.slice(1)).tolist() == [0.0, 3.0, 100.0]


def test_decimals_and_narrow_floats_are_the_number_they_are_written_as() -> None:
    assert numbers_of(pa.array([Decimal("9.99"), Decimal("0.10")])).tolist() == [9.99, 0.1]
    assert decimals_of(pa.array([9.99, 0.1], pa.float32())).tolist() == [9.99, 0.1]
    assert decimals_of(pa.array([9.99, float("nan"), float("-inf")], pa.float32()))[2] == -np.inf


def test_integers_beyond_float64_are_rounded() -> None:
    assert numbers_of(pa.array([2**53 + 1, -(2**63), 2**63 - 1])).tolist() == [2.0**53, -(2.0**63), 2.0**63]
    assert integers_of(pa.array([2**64 - 1], pa.uint64())).tolist() == [2**64 - 1]


MOMENT = datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_an_instant_is_the_same_in_every_zone_and_unit(unit: str, zone: str) -> None:
    array = pa.array([MOMENT], pa.timestamp(unit, tz=zone))
    assert numbers_of(array).tolist() == [MOMENT.timestamp() * 1e6]


def test_dates_are_midnights() -> None:
    day = date(1969, 12, 31)
    for kind in (pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns")):
        assert numbers_of(pa.array([day], pa.date32()).cast(kind)).tolist() == [-86_400e6]


def test_instants_before_1970_are_rounded_down() -> None:
    assert numbers_of(pa.array([-1, -1000, 999], pa.timestamp("ns"))).tolist() == [-1.0, -1.0, 0.0]


def test_times_and_durations_are_microseconds() -> None:
    for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")):
        assert numbers_of(pa.array([time(1, 0, 1)], kind)).tolist() == [3601e6]
    assert numbers_of(pa.array([timedelta(seconds=-2)], pa.duration("ms"))).tolist() == [-2e6]


def test_only_texts_keep_their_dictionary() -> None:
    texts = pa.array(["a", None, "a"]).dictionary_encode()
    assert plain(texts) is texts
    assert plain(pa.array([5, None, 5]).dictionary_encode()).to_pylist() == [5, None, 5]
    assert plain(pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["1"]))).type == pa.string()


def test_an_empty_array_has_no_values() -> None:
    assert numbers_of(pa.array([], pa.float64())).tolist() == []


@pytest.mark.parametrize("kind", [pa.decimal32(9, 2), pa.decimal64(18, 2)])
def test_narrow_decimals_are_decimals(kind: pa.DataType) -> None:
    assert kind_of(kind) == "numeric"
    assert plain(pa.array([Decimal("1.25"), None], kind)).to_pylist() == [Decimal("1.25"), None]


def test_a_dictionary_of_lists_is_plain_lists() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array([[1, 2], None]))
    assert plain(array).to_pylist() == [None, None, [1, 2]]
