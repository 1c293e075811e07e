from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.preconditions import PreconditionPolicy
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.validation.query_facts import can_be_pushed_down, count_query

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "telco_validation.json").read_text())
Count = Callable[..., Any]


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{tmp_path}/data.db")


@pytest.fixture
def count(engine: sa.Engine) -> Count:
    def counted(sql: str, **policy: Any) -> Any:
        return count_query(engine, sql, PreconditionPolicy(**policy))

    return counted


def test_the_churn_table_is_counted_as_awk_counts_it(engine: sa.Engine, count: Count, telco: Path) -> None:
    pd.read_csv(telco).to_sql("churn", engine, index=False)
    found = count("SELECT * FROM churn", unique=("tenure", "monthly_charges"))
    assert found.rows == GOLDEN["rows"]
    assert {c.name: c.missing for c in found.columns if c.missing} == {"total_charges": GOLDEN["missing_total_charges"]}
    assert found.duplicate_keys == GOLDEN["rows"] - GOLDEN["distinct_tenure_and_monthly_charges"]


def test_the_database_sends_aggregates_and_not_rows(engine: sa.Engine, telco: Path) -> None:
    pd.read_csv(telco).to_sql("churn", engine, index=False)
    fetched = 0

    def counting(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal fetched
        fetched += 1
        return row

    @sa.event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.row_factory = counting

    engine.dispose()
    count_query(engine, "SELECT * FROM churn", PreconditionPolicy(unique=("tenure",), required_columns={"churn": None}))
    assert 0 < fetched < 10
    fetched = 0
    count_query(engine, "SELECT * FROM churn", PreconditionPolicy(required_columns={"churn": "string"}))
    assert 1000 < fetched < 1010


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS a UNION ALL SELECT NULL;",
        "SELECT 1 AS a UNION ALL SELECT NULL; -- the end",
        "WITH x AS (SELECT 1 AS a UNION ALL SELECT NULL) SELECT * FROM x",
        "SELECT 1 AS a UNION ALL SELECT NULL -- the end",
        "-- the start\nSELECT 1 AS a UNION ALL SELECT NULL WHERE '100 %' LIKE '%'",
    ],
)
def test_queries_are_counted_whatever_they_begin_or_end_with(count: Count, sql: str) -> None:
    found = count(sql)
    assert (found.rows, found.columns[0].missing) == (2, 1)


def test_keys_with_nulls_are_told_apart_from_repeated_ones(count: Count) -> None:
    rows = " UNION ALL ".join(f"SELECT {a} AS a, {b} AS b" for a, b in [(1, 1), (1, 1), (1, 1), (1, 2), ("NULL", 1)])
    found = count(rows, unique=("a", "b"))
    assert (found.null_keys, found.duplicate_keys) == (1, 2)
    assert count(rows, unique=("a", "absent")).duplicate_keys == 0


def test_an_empty_result_is_counted_as_empty(count: Count) -> None:
    found = count("SELECT 1 AS a, 2 AS t WHERE 1 = 0", unique=("a",), timestamp_column="t")
    assert (found.rows, found.duplicate_keys, found.newest) == (0, 0, None)


def test_more_columns_than_one_statement_may_hold_are_counted(count: Count) -> None:
    found = count("SELECT " + ", ".join(f"{'NULL' if i == 1201 else i} AS c{i}" for i in range(1300)))
    assert len(found.columns) == 1300
    assert [column.name for column in found.columns if column.missing] == ["c1201"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "integer"),
        (["1", "2.5"], "number"),
        (["'a'"], "string"),
        (["1", "'a'"], "other"),
        (["NULL", "NULL", "1"], "integer"),
    ],
)
def test_the_kind_of_a_required_column_is_that_of_its_values(count: Count, values: list[str], kind: str) -> None:
    found = count(" UNION ALL ".join(f"SELECT {v} AS a" for v in values), required_columns={"a": "integer"})
    assert found.columns[0].kind == kind


def test_times_kept_as_text_are_read(count: Count) -> None:
    sql = "SELECT '2026-01-01T10:00:00' AS t UNION ALL SELECT '2026-01-02T10:00:00'"
    found = count(sql, timestamp_column="t", timestamp_timezone="UTC")
    assert found.newest == datetime(2026, 1, 2, 10, tzinfo=UTC)
    with pytest.raises(InputError, match="carry no time zone"):
        count(sql, timestamp_column="t")


@pytest.mark.parametrize(("value", "message"), [("'SECRET'", "not ISO 8601"), ("4711", "database gives int")])
def test_a_time_that_cannot_be_read_is_refused_without_telling_it(count: Count, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        count(f"SELECT {value} AS t", timestamp_column="t", timestamp_timezone="UTC")
    assert value.strip("'") not in str(raised.value)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM absent", "no such table: absent"),
        ("SELECT 1 AS a FROM", "refused the query"),
        ("SELECT 1 AS a; SELECT 2 AS a", "is 2 statements"),
        ("DELETE FROM t", "begins with DELETE"),
    ],
)
def test_a_wrong_query_is_an_input_error(count: Count, sql: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        count(sql)


def test_text_that_is_not_utf_8_and_a_file_of_another_kind_are_not_tried_again(tmp_path: Path, count: Count) -> None:
    with pytest.raises(InputError, match="refused the query"):
        count("SELECT CAST(x'ff' AS TEXT) AS a", required_columns={"a": "string"})
    (tmp_path / "other.db").write_text("no data base at all " * 100)
    with pytest.raises(InputError, match="refused the query"):
        count_query(sa.create_engine(f"sqlite:///{tmp_path}/other.db"), "SELECT * FROM t", PreconditionPolicy())


def test_the_engine_can_be_written_through_again_afterwards(engine: sa.Engine, count: Count) -> None:
    count("SELECT 1 AS a")
    pd.DataFrame({"a": [1]}).to_sql("t", engine)
    assert count("SELECT * FROM t").rows == 1


def test_a_locked_database_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    with sqlite3.connect(path) as holder:
        holder.execute("CREATE TABLE t (a)")
        holder.commit()
        holder.execute("BEGIN EXCLUSIVE")
        engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.01})
        with pytest.raises(OutageError, match="A retry may succeed"):
            count_query(engine, "SELECT * FROM t", PreconditionPolicy())


@pytest.mark.parametrize(
    ("query", "possible"),
    [
        (SqlQuery("SELECT a::int FROM t WHERE b > '12:30'", "db"), True),
        (SqlQuery("SELECT * FROM t WHERE a = :a", "db"), False),
        (SqlQuery("SELECT * FROM t WHERE a = ':x'", "db"), False),
        (SqlQuery("SELECT * FROM t WHERE a = ?", "db", parameters={"a": 1}), False),
        (SqlQuery("SELECT * FROM t", "db", parameters={}), True),
    ],
)
def test_only_queries_that_need_no_binding_are_pushed_down(query: SqlQuery, possible: bool) -> None:
    assert can_be_pushed_down(query) is possible
