"""Queries on a real PostgreSQL and on SQLite, through the hooks of Airflow's own providers."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import psycopg2
import pyarrow as pa
import pytest
import sqlalchemy as sa
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.preconditions import PreconditionPolicy
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.data.sql import open_query
from airflow_mlops_provider.data.sql_count import count_rows_of_query
from airflow_mlops_provider.hooks.data import count_rows_of, open_data
from airflow_mlops_provider.operators.validate_data import ValidateDataOperator
from airflow_mlops_provider.validation.query_facts import count_query
from airflow_mlops_provider.validation.run import run_in_database
from airflow_mlops_provider.validation.suites import load_suite
from tests.servers import missing_postgres, postgres


@pytest.fixture(scope="module")
def server(telco: Path) -> Iterator[dict[str, Any]]:
    """Fields of a connection to a server that asks one of its users, ann, for a password."""
    if missing := missing_postgres():
        pytest.skip(missing)
    with postgres() as uri:
        parts = urlsplit(uri)
        connection = psycopg2.connect(host=parts.hostname, port=parts.port, user="mlops", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE ann LOGIN PASSWORD 'right'")
            cursor.execute("SHOW hba_file")
            rules = "host all ann 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
            [path] = cursor.fetchone()
            Path(path).write_text(rules)
            cursor.execute("SELECT pg_reload_conf()")
            kinds = pd.read_csv(telco).dtypes
            columns = ", ".join(
                f"{name} {'double precision' if kinds[name].kind in 'if' else 'text'}" for name in kinds.index
            )
            cursor.execute(f"CREATE TABLE churn ({columns})")
            with telco.open() as rows:
                cursor.copy_expert("COPY churn FROM STDIN WITH (FORMAT csv, HEADER, NULL 'NA')", rows)
        connection.close()
        yield {"conn_type": "postgres", "host": parts.hostname, "port": parts.port, "schema": "postgres"}


@pytest.fixture
def ask(server: dict[str, Any], airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Open a query on the server."""

    def run(sql: str, parameters: Any = None, **fields: Any) -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({**server, "login": "mlops", **fields}))
        return open_data(SqlQuery(sql, "warehouse", parameters=parameters))

    return run


def test_types_nulls_and_time_zones_come_as_the_database_means_them(ask: Callable[..., Any]) -> None:
    sql = """
        SELECT 9007199254740993::bigint AS big, 1.25::numeric AS amount, true AS paid, 'ü'::varchar AS city,
               '2026-01-02'::date AS day, '2026-07-01 12:00+02'::timestamptz AS instant,
               '2026-07-01 12:00'::timestamp AS local, '{"a": 1}'::jsonb AS extra, ''::text AS empty,
               '\\x00ff'::bytea AS raw
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    """
    with ask(sql) as source:
        kinds = {field.name: field.type for field in source.schema()}
        first, second = source.to_table().to_pylist()
    assert kinds["big"] == pa.int64()
    assert kinds["instant"].tz == "UTC"
    assert kinds["local"].tz is None
    assert first == {
        **{"big": 9007199254740993, "amount": 1.25, "paid": True, "city": "ü", "day": date(2026, 1, 2)},
        **{"instant": datetime(2026, 7, 1, 10, tzinfo=UTC), "local": datetime(2026, 7, 1, 12)},
        **{"extra": '{"a": 1}', "empty": "", "raw": b"\x00\xff"},
    }
    assert set(second.values()) == {None}


@pytest.mark.parametrize(
    ("kind", "start", "stored"),
    [
        ("numeric(20,0)", 8912345678901234500, pa.int64()),
        ("numeric(20,0)", 18446744073709551000, pa.decimal128(38, 0)),
        ("numeric", 10**60, pa.decimal256(76, 0)),
        ("bigint", 8912345678901234500, pa.int64()),
    ],
)
def test_long_keys_keep_their_digits(ask: Callable[..., Any], kind: str, start: int, stored: pa.DataType) -> None:
    with ask(f"SELECT ({start}::numeric + g)::{kind} AS customer FROM generate_series(1, 1000) g") as source:
        assert source.schema().field("customer").type == stored
        assert source.to_table().column("customer").to_pylist() == [start + g for g in range(1, 1001)]


def test_decimals_with_digits_after_the_point_are_floats_whatever_their_values(ask: Callable[..., Any]) -> None:
    with ask("SELECT 5::numeric(12,2) AS price, avg(g) AS mean, sum(g) AS n FROM generate_series(1, 3) g") as source:
        assert source.schema().types == [pa.float64(), pa.float64(), pa.int64()]
        assert source.to_table().to_pylist() == [{"price": 5.0, "mean": 2.0, "n": 6}]


def test_what_a_column_says_does_not_depend_on_the_zone_of_the_session(ask: Callable[..., Any]) -> None:
    sql = """
        SELECT ARRAY['2026-07-01 12:00+02'::timestamptz] AS times, '12:00+02'::timetz AS opens,
               tstzrange('2026-07-01 12:00+02', NULL) AS valid, '2026-07-01 12:00+02'::timestamptz AS instant,
               ARRAY['2026-07-01 12:00'::timestamp] AS local
    """
    seen = []
    for zone in ("America/New_York", "Asia/Kolkata", "UTC"):
        with ask(sql, extra={"options": f"-c timezone={zone}"}) as source:
            seen.append((source.fingerprint().sha256, source.to_table().to_pylist()))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1] == [
        {
            **{"times": '["2026-07-01 10:00:00+00:00"]', "opens": "12:00:00+02:00"},
            **{"valid": "[2026-07-01 10:00:00+00:00, None)", "instant": datetime(2026, 7, 1, 10, tzinfo=UTC)},
            "local": '["2026-07-01 12:00:00"]',
        }
    ]


def test_parameters_are_bound_and_never_part_of_the_statement(ask: Callable[..., Any]) -> None:
    with ask("SELECT count(*) AS n FROM churn WHERE tenure > %(least)s", {"least": 71}) as source:
        assert source.to_pandas()["n"].tolist() == [362]
    evil = "x'; DROP TABLE churn; --"
    with ask("SELECT %s AS text, (SELECT count(*) FROM churn) AS n", [evil]) as source:
        assert source.to_table().to_pylist() == [{"text": evil, "n": 7043}]
    with ask("SELECT count(*) AS n FROM churn WHERE contract LIKE '%year'") as source:
        assert source.to_pandas()["n"].tolist() == [3168]  # 1473 of one year and 1695 of two


def test_rows_come_through_a_cursor_of_the_server(ask: Callable[..., Any]) -> None:
    # The view lists the cursors of the session that asks.
    with ask("SELECT name FROM pg_cursors") as source:
        [name] = source.to_pandas()["name"]
    assert name.startswith("mlops_")


@pytest.fixture
def written(server: dict[str, Any]) -> Iterator[Callable[[], list[int]]]:
    """A table with one row, a function ``add()`` that writes another, and what the table holds now."""
    connection = psycopg2.connect(host=server["host"], port=server["port"], user="mlops", dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE w (a int); INSERT INTO w VALUES (1)")
        cursor.execute(
            "CREATE FUNCTION add() RETURNS int VOLATILE LANGUAGE sql AS 'INSERT INTO w VALUES (2) RETURNING a'"
        )

        def now() -> list[int]:
            cursor.execute("SELECT a FROM w")
            return [a for [a] in cursor.fetchall()]

        yield now
        cursor.execute("DROP FUNCTION add(); DROP TABLE w")
    connection.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT a FROM w; INSERT INTO w VALUES (2); COMMIT", "is 3 statements, of which none was run"),
        ("SELECT pg_sleep(0) AS s; SELECT 1 AS b", "is 2 statements"),
        ("WITH d AS (DELETE FROM w RETURNING a) SELECT * FROM d", "is refused by the database"),
        ("SELECT add() AS a", "cannot execute INSERT in a read-only transaction"),
        ("DROP TABLE w", "begins with DROP"),
    ],
)
def test_a_query_only_reads(ask: Callable[..., Any], written: Callable[[], list[int]], sql: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ask(sql)
    assert written() == [1]
    with pytest.raises(InputError):
        count_rows_of(SqlQuery(sql, "warehouse"))
    assert written() == [1]


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("state", ["fresh", "autocommit", "in a transaction"])
def test_either_driver_only_reads(
    server: dict[str, Any], written: Callable[[], list[int]], driver: str, state: str
) -> None:
    def connect() -> Any:
        connection = pytest.importorskip(driver).connect(
            host=server["host"], port=server["port"], user="mlops", dbname="postgres"
        )
        connection.autocommit = state == "autocommit"
        if state == "in a transaction":
            connection.cursor().execute("SELECT 1")
        return connection

    for ask in (open_query, count_rows_of_query):
        with pytest.raises(InputError, match="cannot execute INSERT in a read-only transaction"):
            ask(connect=connect, sql="SELECT add() AS a", uri="sql://x")
        assert ask(connect=connect, sql="SELECT a FROM w;", uri="sql://x")
    assert written() == [1]


def test_validation_inside_the_database_only_reads(
    server: dict[str, Any], written: Callable[[], list[int]], airflow_home: Path
) -> None:
    engine = sa.create_engine(f"postgresql+psycopg2://mlops@{server['host']}:{server['port']}/postgres")
    with pytest.raises(InputError, match="refused the query"):
        count_query(engine, "SELECT add() AS a", PreconditionPolicy(required_columns={"a": "integer"}))
    suite = load_suite([{"type": "expect_column_max_to_be_between", "kwargs": {"column": "a", "max_value": 3}}])
    [outcome] = run_in_database(suite, engine, "SELECT add() AS a", ["a"])
    assert "was raised" in str(outcome.error)
    assert run_in_database(suite, engine, "SELECT a FROM w", ["a"])[0].success
    assert written() == [1]
    engine.dispose()


def test_memory_does_not_grow_with_the_rows(ask: Callable[..., Any]) -> None:
    code = (
        "import sys\nfrom airflow_mlops_provider.core.specs import SqlQuery\n"
        "from airflow_mlops_provider.hooks.data import open_data\n"
        "sql = f'SELECT i, i * 0.5::float8 AS f, md5(i::text) AS s FROM generate_series(1, {sys.argv[1]}) i'\n"
        "with open_data(SqlQuery(sql, 'warehouse')) as source:\n"
        "    assert sum(batch.num_rows for batch in source.batches()) == int(sys.argv[1])\n"
        "print('PEAK', open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    ask("SELECT 1 AS x").close()  # defines the connection
    peaks = []
    for n in ("200000", "800000"):
        done = subprocess.run(
            [sys.executable, "-c", code, n], env=os.environ, capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.rpartition("PEAK")[2]))
    # 600,000 rows more are some 130 MB of Python objects.
    assert peaks[1] - peaks[0] < 50_000


def test_a_connection_cut_in_the_middle_is_an_outage_and_keeps_nothing(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cut = "CASE WHEN i = 600000 THEN pg_terminate_backend(pg_backend_pid()) END AS x"
    with pytest.raises(OutageError, match="did not answer the query, which changed nothing"):
        ask(f"SELECT i, {cut} FROM generate_series(1, 700000) i")
    assert list(tmp_path.glob("mlops-query-*")) == []


def test_a_server_that_is_down_is_an_outage(ask: Callable[..., Any]) -> None:
    with pytest.raises(OutageError, match="did not answer"):
        ask("SELECT 1 AS x", port=1)


@pytest.mark.parametrize(
    ("fields", "sql"),
    [
        ({"login": "ann", "password": "wrong-password"}, "SELECT 1 AS x"),
        ({"login": "ann", "password": "right"}, "SELECT * FROM churn"),  # no permission
        ({"login": "nobody"}, "SELECT 1 AS x"),
        ({"schema": "nowhere"}, "SELECT 1 AS x"),
        ({}, "SELECT * FROM missing"),
        ({}, "SELECT 1/0 AS x"),
    ],
)
def test_what_the_server_refuses_is_not_tried_again(ask: Callable[..., Any], fields: dict[str, Any], sql: str) -> None:
    with pytest.raises(InputError, match="is refused by the database") as caught:
        ask(sql, **fields)
    assert "wrong-password" not in str(caught.value)


def test_the_right_password_opens(ask: Callable[..., Any]) -> None:
    with ask("SELECT current_user::text AS name", login="ann", password="right") as source:
        assert source.to_pandas()["name"].tolist() == ["ann"]


def test_validation_happens_inside_the_database(ask: Callable[..., Any], run_dag: Callable[..., Any]) -> None:
    ask("SELECT 1 AS x").close()  # defines the connection
    suite = [{"type": "expect_column_values_to_be_between", "kwargs": {"column": "tenure", "max_value": 60}}]
    with DAG(dag_id="validate_in_postgres", schedule=None) as dag:
        ValidateDataOperator(
            task_id="validate",
            data=SqlQuery("SELECT * FROM churn", "warehouse"),
            suite=suite,
            unique=["tenure", "monthly_charges"],
            on_reject="continue",
        )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    verdict = outcome.xcoms["validate"]
    assert (verdict["engine"], verdict["rows"]) == ("sql", 7043)
    # The same numbers as pandas finds in the file.
    assert verdict["reasons"] == [
        "duplicate key tenure, monthly_charges: 714 rows repeat the key of an earlier row",
        "expect_column_values_to_be_between on 'tenure' fails: 1407 unexpected (20 %)",
    ]


def test_sqlite_is_read_through_its_provider(
    telco: Path, tmp_path: Path, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.read_csv(telco)
    with sqlite3.connect(tmp_path / "churn.db") as connection:
        frame.to_sql("churn", connection, index=False)
    connection.close()
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "churn.db")}))
    with open_data(SqlQuery("SELECT * FROM churn WHERE tenure > ?", "lite", parameters=[70])) as source:
        pd.testing.assert_frame_equal(source.to_pandas(), frame[frame["tenure"] > 70].reset_index(drop=True))
