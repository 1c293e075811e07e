from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.preconditions import PreconditionPolicy, TableFacts
from airflow_mlops_provider.validation.table_facts import count_table, kind_of

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "telco_validation.json").read_text())


def count(table: pa.Table, *, batch_rows: int = 3, **policy: Any) -> TableFacts:
    return count_table(table.schema, table.to_batches(max_chunksize=batch_rows), PreconditionPolicy(**policy))


def test_the_churn_table_is_counted_as_awk_counts_it(telco: Path) -> None:
    table = pyarrow.csv.read_csv(telco)
    found = count(table, batch_rows=1000, unique=("tenure", "monthly_charges"))
    assert found.rows == GOLDEN["rows"]
    assert {c.name: c.missing for c in found.columns if c.missing} == {"total_charges": GOLDEN["missing_total_charges"]}
    assert found.duplicate_keys == GOLDEN["rows"] - GOLDEN["distinct_tenure_and_monthly_charges"]
    assert found.null_keys == 0


@given(
    keys=st.lists(st.tuples(st.sampled_from([1, 2, None]), st.sampled_from(["x", "y", None]))),
    batch_rows=st.integers(1, 5),
)
def test_keys_are_counted_as_pandas_counts_them_however_the_rows_are_batched(keys: list[Any], batch_rows: int) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    table = pa.Table.from_pylist([{"a": a, "b": b} for a, b in keys], schema=schema)
    frame = table.to_pandas()
    whole = frame.dropna()
    found = count(table, batch_rows=batch_rows, unique=("a", "b"))
    assert found.null_keys == len(frame) - len(whole)
    assert found.duplicate_keys == whole.duplicated().sum()


@given(values=st.lists(st.one_of(st.none(), st.floats()), min_size=1))
def test_null_and_nan_are_missing_as_in_pandas(values: list[float | None]) -> None:
    found = count(pa.table({"a": pa.array(values, pa.float64())}))
    assert found.columns[0].missing == pd.Series(values, dtype="float64").isna().sum()


def test_nan_in_a_key_is_a_null_key() -> None:
    found = count(pa.table({"a": [1.0, float("nan"), None, 1.0]}), unique=("a",))
    assert (found.null_keys, found.duplicate_keys) == (2, 1)


def test_dictionary_keys_are_compared_by_value_across_batches() -> None:
    batches = [pa.RecordBatch.from_arrays([pa.array(v).dictionary_encode()], ["a"]) for v in (["x", "y"], ["y", "x"])]
    found = count_table(batches[0].schema, batches, PreconditionPolicy(unique=("a",)))
    assert found.duplicate_keys == 2


def test_a_key_that_is_only_partly_there_is_not_counted() -> None:
    assert count(pa.table({"a": [1, 1]}), unique=("a", "absent")).duplicate_keys == 0


def test_a_key_of_lists_is_refused() -> None:
    with pytest.raises(InputError, match="must be scalars"):
        count(pa.table({"a": [[1], [2]]}), unique=("a",))


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(InputError, match="more than once: 'a'"):
        count(table)


@pytest.mark.parametrize(
    ("values", "newest"),
    [
        (pa.array([1, None, 5], pa.timestamp("s", "UTC")), datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)),
        (pa.array([5_000_000_999], pa.timestamp("ns", "America/New_York")), datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)),
        (pa.array(["2026-01-01T10:00:00Z", "2026-01-01T12:00:00+05:00"]), datetime(2026, 1, 1, 10, tzinfo=UTC)),
        (pa.array([None, None], pa.timestamp("s", "UTC")), None),
        (pa.array([None], pa.null()), None),
    ],
)
def test_the_newest_time_is_found_in_utc(values: pa.Array, newest: datetime | None) -> None:
    assert count(pa.table({"t": values}), batch_rows=1, timestamp_column="t").newest == newest


@pytest.mark.parametrize(
    "values", [pa.array([datetime(2026, 7, 1, 12)]), pa.array(["2026-07-01 12:00:00"]), pa.array([date(2026, 7, 1)])]
)
def test_times_without_zone_need_one_and_take_the_one_given(values: pa.Array) -> None:
    table = pa.table({"t": values})
    with pytest.raises(InputError, match="carry no time zone"):
        count(table, timestamp_column="t")
    hour = 0 if pa.types.is_date(values.type) else 12
    expected = datetime(2026, 7, 1, hour, tzinfo=UTC) - pd.Timedelta(hours=2)
    assert count(table, timestamp_column="t", timestamp_timezone="Europe/Berlin").newest == expected


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"timestamp_column": "n"}, "must hold times; it is of type int64"),
        ({"timestamp_column": "s"}, "text that is not ISO 8601"),
        ({"timestamp_column": "t", "timestamp_timezone": "Mars/Olympus"}, "IANA time zone; got 'Mars/Olympus'"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused_without_telling_it(policy: dict[str, str], message: str) -> None:
    table = pa.table({"n": [1], "s": ["SECRET-4711"], "t": [datetime(2026, 1, 1)]})
    with pytest.raises(InputError, match=message) as raised:
        count(table, **policy)
    assert "4711" not in str(raised.value)


@pytest.mark.parametrize(
    ("arrow_type", "kind"),
    [
        (pa.int8(), "integer"),
        (pa.uint64(), "integer"),
        (pa.float32(), "number"),
        (pa.decimal128(5, 2), "number"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.bool_(), "boolean"),
        (pa.date32(), "datetime"),
        (pa.timestamp("us", "UTC"), "datetime"),
        (pa.null(), "null"),
        (pa.list_(pa.int8()), "other"),
        (pa.time64("us"), "other"),
    ],
)
def test_arrow_types_have_their_kind(arrow_type: pa.DataType, kind: str) -> None:
    assert kind_of(arrow_type) == kind
