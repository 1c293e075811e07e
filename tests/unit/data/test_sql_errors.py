"""Database errors say whether to try again, and never a password."""

import sqlite3

import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.sql_errors import database_errors


class Error(Exception):
    """Base of a driver's errors, as PEP 249 names them."""

    sqlstate: str | None = None


class OperationalError(Error):
    pass


class ProgrammingError(Error):
    pass


def with_state(error: Error, sqlstate: str) -> Error:
    error.sqlstate = sqlstate
    return error


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection unexpectedly"),
        with_state(OperationalError("too many connections"), "53300"),
        with_state(OperationalError("canceling statement due to statement timeout"), "57014"),
        with_state(ProgrammingError("the database system is shutting down"), "57P03"),
        with_state(OperationalError("terminating connection due to idle-in-transaction timeout"), "25P03"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError("timed out"),
    ],
    ids=str,
)
def test_what_may_pass_is_an_outage(error: Exception) -> None:
    with pytest.raises(OutageError, match="sql://db did not answer"), database_errors("sql://db", []):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError('relation "x" does not exist'),
        with_state(OperationalError("password authentication failed"), "28P01"),
        with_state(OperationalError('database "x" does not exist'), "3D000"),
        OperationalError('connection to server at "h" failed: FATAL:  password authentication failed for user "ann"'),
        OperationalError('connection to server at "h" failed: FATAL:  database "nodb" does not exist'),
        with_state(OperationalError('cursor "mlops_1" does not exist'), "34000"),
        with_state(OperationalError("cannot execute INSERT in a read-only transaction"), "25006"),
        sqlite3.ProgrammingError("Incorrect number of bindings"),
        TypeError("not all arguments converted"),
    ],
    ids=str,
)
def test_what_fails_again_is_bad_input(error: Exception) -> None:
    with pytest.raises(InputError, match="sql://db is refused"), database_errors("sql://db", []):
        raise error


@pytest.mark.parametrize(
    "text",
    [
        "invalid dsn postgresql://ann:s3cr%2Ft@host/db",
        "connection failed: host=h user=ann password=s3cr/t dbname=d",
        "login of ann with s3cr/t refused",
        'bad config {"password": "s3cr/t"}',
    ],
)
def test_passwords_stay_out_of_the_message_and_its_chain(text: str) -> None:
    with pytest.raises(OutageError) as raised, database_errors("sql://db", ["s3cr/t"]):
        raise OperationalError(text)
    assert "s3cr" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_the_statement_stays_out_of_the_message() -> None:
    error = ProgrammingError("column \"x\" does not exist\nLINE 1: select x from t where name = 'Ann Smith'")
    with pytest.raises(InputError, match='column "x" does not exist') as raised, database_errors("sql://db", []):
        raise error
    assert "Smith" not in str(raised.value)


def test_errors_of_other_kinds_pass_unchanged() -> None:
    with pytest.raises(MemoryError), database_errors("sql://db", []):
        raise MemoryError
