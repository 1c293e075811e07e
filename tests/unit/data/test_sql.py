"""A query runs once, streams, and gives the same rows to every pass."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.sql import QueryRows, open_query
from airflow_mlops_provider.data.sql_count import count_rows_of_query
from airflow_mlops_provider.data.table_files import open_files

TELCO = Path(__file__).parents[3] / "dags" / "data" / "telco_churn.csv"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("db") / "telco.db"
    with sqlite3.connect(path) as connection:
        pd.read_csv(TELCO).to_sql("telco", connection, index_label="row")
    connection.close()
    return path


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """The folders of kept rows that exist now."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: list(tmp_path.glob("mlops-query-*"))


def query(database: Path | str, sql: str, parameters: object = None) -> QueryRows:
    return open_query(connect=lambda: sqlite3.connect(database), sql=sql, parameters=parameters, uri="sql://telco")


def test_a_query_gives_the_table_that_pandas_reads(database: Path) -> None:
    telco = pd.read_csv(TELCO)
    with query(database, f"SELECT {', '.join(telco.columns)} FROM telco ORDER BY row") as source:
        pd.testing.assert_frame_equal(source.to_pandas(), telco)
        pd.testing.assert_frame_equal(source.to_pandas(["tenure", "churn"]), telco[["tenure", "churn"]])
        assert source.count_rows() == len(telco)
        assert source.uri == "sql://telco"
        assert all(batch.num_rows <= 1000 for batch in source.batches(batch_rows=1000))
        with open_files(TELCO) as file:
            assert source.schema() == file.schema()


def test_parameters_are_bound_and_percent_signs_left_alone(database: Path) -> None:
    sql = "SELECT row FROM telco WHERE contract LIKE '%year' AND tenure > :months"
    expected = pd.read_csv(TELCO).query("contract.str.endswith('year') and tenure > 70")
    with query(database, sql, {"months": 70}) as source:
        assert source.to_pandas()["row"].tolist() == expected.index.tolist()
    with pytest.raises(InputError, match="gave no rows"):
        query(database, "SELECT row FROM telco WHERE contract = ?", ["x' OR 1=1 OR '"])


def test_the_fingerprint_depends_on_the_rows_and_names_and_not_on_their_order(database: Path) -> None:
    statements = [
        "SELECT tenure, churn FROM telco ORDER BY row",
        "SELECT churn, tenure FROM telco ORDER BY row DESC",
        "SELECT tenure, churn FROM telco WHERE row > 0",
        "SELECT tenure AS months, churn FROM telco",
        "SELECT tenure, churn FROM telco UNION ALL SELECT tenure, churn FROM telco WHERE row = 0",
    ]
    prints = []
    for sql in statements:
        with query(database, sql) as source:
            prints.append(source.fingerprint())
    first, reordered, *others = (print_.sha256 for print_ in prints)
    assert first == reordered
    assert len({first, *others}) == 4
    assert (prints[0].rows, prints[0].size_bytes, prints[0].modified_at) == (7043, 0, None)


def test_rows_that_change_in_the_database_do_not_change_in_the_source(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    source = query(path, "SELECT x FROM t")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE t SET x = 2")
    assert source.to_pandas()["x"].tolist() == source.to_pandas()["x"].tolist() == [1]


SERIES = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 250000) SELECT {} AS x FROM n"


@pytest.mark.parametrize(
    ("expression", "kind", "first", "last"),
    [
        ("i", pa.int64(), 0, 250_000),
        ("CASE WHEN i < 249999 THEN i ELSE i + 0.5 END", pa.float64(), 0.0, 250_000.5),
        ("CASE WHEN i < 249999 THEN i ELSE 'x' END", pa.string(), "0", "x"),
        ("CASE WHEN i > 0 THEN i END", pa.int64(), None, 250_000),
        ("CASE WHEN i = 250000 THEN 'x' END", pa.string(), None, "x"),
        ("CASE WHEN i < 249999 THEN 9007199254740993 ELSE 0.5 END", pa.float64(), 2.0**53, 0.5),
        ("NULL", pa.null(), None, None),
        ("x'00ff'", pa.binary(), b"\x00\xff", b"\x00\xff"),
    ],
)
def test_types_widen_over_a_long_result(expression: str, kind: pa.DataType, first: object, last: object) -> None:
    with query(":memory:", SERIES.format(expression)) as source:
        assert source.schema() == pa.schema([("x", kind)])
        column = source.to_table().column("x")
    assert len(column) == 250_001
    assert (column[0].as_py(), column[-1].as_py()) == (first, last)


def decimals(folder: Path, texts: Sequence[str | None]) -> QueryRows:
    """A query whose driver makes decimals of these texts."""
    # By its name a type of text, because SQLite itself makes floats of numbers that are too long for it.
    sqlite3.register_converter("text_of_a_decimal", lambda text: Decimal(text.decode()))
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute("CREATE TABLE t (id text_of_a_decimal)")
        connection.executemany("INSERT INTO t VALUES (?)", [(text,) for text in texts])
    connection.close()

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(folder / "x.db", detect_types=sqlite3.PARSE_DECLTYPES)

    return open_query(connect=connect, sql="SELECT id FROM t", uri="sql://x")


def test_the_fingerprint_sees_the_last_digit_of_a_long_number(tmp_path: Path) -> None:
    prints = []
    for texts in (["18446744073709551610", "7"], ["7", "18446744073709551610"], ["18446744073709551611", "7"]):
        with decimals(tmp_path, texts) as source:
            prints.append(source.fingerprint().sha256)
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("late", "kind"),
    [("8912345678901234999", pa.int64()), ("18446744073709551615", pa.decimal128(38, 0)), ("0.5", pa.float64())],
)
def test_whole_decimals_keep_their_digits_until_a_fraction_comes(tmp_path: Path, late: str, kind: pa.DataType) -> None:
    first = 8912345678901234500
    with decimals(tmp_path, [*(str(first + i) for i in range(250)), late, None]) as source:
        assert source.schema() == pa.schema([("id", kind)])
        found = source.to_table().column("id").to_pylist()
    if kind == pa.float64():
        assert found == [float(first + i) for i in range(250)] + [0.5, None]
    else:
        assert found == [*(first + i for i in range(250)), int(late), None]


def test_the_fingerprint_does_not_depend_on_when_a_type_widens() -> None:
    late = SERIES.format("CASE WHEN i < 249999 THEN i ELSE 0.5 END")
    prints = []
    for sql in (late, f"SELECT x FROM ({late}) ORDER BY x DESC"):
        with query(":memory:", sql) as source:
            prints.append(source.fingerprint().sha256)
    assert prints[0] == prints[1]


def test_kept_rows_are_private_and_deleted_on_close(spools: Callable[[], list[Path]]) -> None:
    with query(":memory:", "SELECT 1 AS x") as source:
        [folder] = spools()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert source.count_rows() == 1
    assert spools() == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM missing", "no such table: missing"),
        ("SELEC 1", "syntax error"),
        ("SELECT :unbound AS x", "[Bb]inding"),
        ("SELECT 1 AS x, 2 AS x", "2 columns named 'x'"),
        ('SELECT 1 AS ""', "columns named ''"),
        ("SELECT 1 AS x WHERE 0", "no rows"),
        ("CREATE TABLE t (x)", "returns no rows"),
        ("SELECT 'a' AS x UNION ALL SELECT x'00'", "'x' of the query mixes bytes"),
    ],
)
def test_a_statement_that_gives_no_table_is_refused_and_leaves_nothing(
    sql: str, words: str, spools: Callable[[], list[Path]]
) -> None:
    with pytest.raises(InputError, match=words):
        query(":memory:", sql)
    assert spools() == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "DROP TABLE t",
        "INSERT INTO t VALUES (2) RETURNING x",
        "WITH y AS (SELECT 2 AS x) INSERT INTO t SELECT x FROM y RETURNING x",
        "PRAGMA user_version = 7",
        "SELECT x FROM t; DROP TABLE t",
    ],
)
@pytest.mark.parametrize("ask", [open_query, count_rows_of_query])
def test_a_statement_that_writes_changes_nothing(tmp_path: Path, ask: Callable[..., Any], sql: str) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    with pytest.raises(InputError):
        # Commits at once, as a hook may.
        ask(connect=lambda: sqlite3.connect(path, isolation_level=None), sql=sql, uri="sql://x")
    after = sqlite3.connect(path)
    assert after.execute("SELECT * FROM t").fetchall() == [(1,)]
    assert after.execute("PRAGMA user_version").fetchone() == (0,)


@pytest.mark.parametrize("end", ["", ";", " ;\n", "; -- all", " -- all", "; /* all; */ ;"])
def test_a_query_is_read_and_counted_whatever_it_ends_with(end: str) -> None:
    asked: dict[str, Any] = {
        "connect": lambda: sqlite3.connect(":memory:"),
        "sql": f"SELECT 1 AS x UNION ALL SELECT 2{end}",
        "uri": "sql://x",
    }
    with open_query(**asked) as source:
        assert source.count_rows() == count_rows_of_query(**asked) == 2


def test_text_that_is_not_utf_8_and_a_file_of_another_kind_are_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Could not decode to UTF-8 column 'x'") as raised:
        query(":memory:", "SELECT CAST(x'ff4142' AS TEXT) AS x")
    assert "AB" not in str(raised.value)
    (tmp_path / "x.db").write_text("no data base at all " * 100)
    with pytest.raises(InputError, match="file is not a database"):
        query(tmp_path / "x.db", "SELECT * FROM t")


def test_a_database_that_cannot_be_reached_is_an_outage(tmp_path: Path, spools: Callable[[], list[Path]]) -> None:
    with pytest.raises(OutageError, match="sql://telco did not answer"):
        query(tmp_path / "no" / "such.db", "SELECT 1")
    assert spools() == []


def test_a_locked_database_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    owner = sqlite3.connect(path, isolation_level=None)
    owner.execute("CREATE TABLE t (x)")
    owner.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OutageError, match="locked"):
        open_query(connect=lambda: sqlite3.connect(path, timeout=0.01), sql="SELECT * FROM t", uri="sql://x")
    owner.close()


def test_connections_are_closed_also_after_errors() -> None:
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        opened.append(sqlite3.connect(":memory:"))
        return opened[-1]

    open_query(connect=connect, sql="SELECT 1 AS x", uri="sql://x").close()
    with pytest.raises(InputError):
        open_query(connect=connect, sql="SELECT 1 AS x FROM y", uri="sql://x")
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_rows_given_as_mappings_are_read_like_others() -> None:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        connection.row_factory = lambda cursor, row: {c[0]: v for c, v in zip(cursor.description, row, strict=True)}
        return connection

    with open_query(connect=connect, sql="SELECT 1 AS x, 'a' AS y", uri="sql://x") as source:
        assert source.to_table().to_pylist() == [{"x": 1, "y": "a"}]


def test_memory_does_not_grow_with_the_rows() -> None:
    code = (
        "import resource, sqlite3, sys\nfrom airflow_mlops_provider.data.sql import open_query\n"
        "n = sys.argv[1]\nsql = f'WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < {n}) "
        "SELECT i, i*0.5 AS f, hex(i) AS s FROM n'\n"
        "with open_query(connect=lambda: sqlite3.connect(':memory:'), sql=sql, uri='x') as rows:\n"
        "    sum(batch.num_rows for batch in rows.batches())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    import subprocess
    import sys

    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    few, many = (
        int(subprocess.run([sys.executable, "-c", code, n], env=environment, capture_output=True, check=True).stdout)
        for n in ("200000", "1000000")
    )
    # A million rows are some 200 MB of Python objects.
    assert many - few < 60_000
