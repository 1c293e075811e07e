"""One reading statement is taken as it stands; several, none, and one that writes are refused before they run."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.sql_statement import one_statement


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("select a from t;", "select a from t"),
        ("select a from t; -- all; of it\n ; /* done; */", "select a from t"),
        ("; select a from t", "select a from t"),
        ("-- first; then\nselect a from t", "-- first; then\nselect a from t"),
        # To MySQL, this is a sum.
        ("select 5--3", "select 5--3"),
        ("select ';' as a, 'it''s; so', \"b;c\", `d;e`", "select ';' as a, 'it''s; so', \"b;c\", `d;e`"),
        (r"select E'it\'s; so', e'\\';", r"select E'it\'s; so', e'\\'"),
        ("select $$a; b$$, $x$c; $$ d$x$;", "select $$a; b$$, $x$c; $$ d$x$"),
        ("select a$b, c$ from t; --$", "select a$b, c$ from t"),
        ("/* of; */ WITH x AS (SELECT 1 AS a) SELECT * FROM x", "/* of; */ WITH x AS (SELECT 1 AS a) SELECT * FROM x"),
        ("select set_at, deleted from updates", "select set_at, deleted from updates"),
        ("select 'open; end", "select 'open; end"),
    ],
)
def test_what_stands_after_the_semicolon_is_left_out_and_nothing_else(sql: str, statement: str) -> None:
    assert one_statement(sql, uri="sql://db") == statement


@pytest.mark.parametrize(
    "sql",
    [
        "select a from t; insert into t values (2); commit",
        "select pg_sleep(0) as s; select 1 as b",
        "select 'a'; select 2",
        r"select 'a\'; drop table t; --'",
        "select /* /* */ 1; drop table t",
        "select 1 -- x\n; drop table t",
        "select a$b$; drop table t; --$b$",
    ],
)
def test_a_second_statement_is_refused(sql: str) -> None:
    with pytest.raises(InputError, match=r"sql://db is [23] statements, of which none was run\. Hint: give one SELECT"):
        one_statement(sql, uri="sql://db")


@pytest.mark.parametrize("sql", ["", " \n", ";", "-- only words", "/* open"])
def test_nothing_to_ask_is_refused(sql: str) -> None:
    with pytest.raises(InputError, match="sql://db is empty"):
        one_statement(sql, uri="sql://db")


@pytest.mark.parametrize("sql", ["DROP TABLE t", "-- x\n insert into t values (5) returning a", "Commit"])
def test_a_statement_that_writes_is_refused(sql: str) -> None:
    with pytest.raises(InputError, match=r"begins with (DROP|INSERT|COMMIT), .* was not run"):
        one_statement(sql, uri="sql://db")
