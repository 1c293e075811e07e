"""Counts what the preconditions ask about inside the database: aggregates come back, rows do not.

The exception is the type of a required column, for which at most 1,000 of its values are looked at, because a database
such as SQLite has no column types and a driver does not tell them. No value leaves this module, not even in an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.preconditions import ColumnFacts, ColumnKind, PreconditionPolicy, TableFacts
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.core.sql_failure import is_final
from airflow_mlops_provider.core.sql_statement import one_statement
from airflow_mlops_provider.validation.table_facts import aware

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Subquery
    from sqlalchemy.exc import DBAPIError

# SQLite allows 2,000 result columns, PostgreSQL 1,664.
COLUMNS_PER_STATEMENT = 500
VALUES_FOR_TYPE = 1000
# By SQLAlchemy's dialect; said at the beginning of a transaction.
READ_ONLY = {"postgresql": "SET TRANSACTION READ ONLY", "sqlite": "PRAGMA query_only = ON"}
_SQLITE_ERROR = 1


def count_query(engine: Engine, sql: str, policy: PreconditionPolicy) -> TableFacts:
    """Count rows, missing values, repeated keys and the newest time of a query's result.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        Of the database.
    sql : str
        One ``SELECT`` that :func:`can_be_pushed_down`.
    policy : PreconditionPolicy
        Says which columns are the key and the time stamp; columns it names in vain are not counted here.

    Returns
    -------
    TableFacts
        Missing means NULL. The kind of a column is known for `policy.required_columns` with a type, else ``other``.

    Raises
    ------
    InputError
        The database refuses the query, two columns have one name, or the time stamp cannot be read.
    OutageError
        The database does not answer.
    """
    with database_errors(), engine.connect() as connection, _only_reading(connection):
        names = _names(connection, sql)
        table = _subquery(sql, names)
        rows, missing = _missing(connection, table, names)
        keys = policy.unique if set(policy.unique) <= set(names) else ()
        null_keys, duplicate_keys = _repeated(connection, table, keys)
        newest = _newest(connection, table, policy) if policy.timestamp_column in names else None
        kinds = {
            name: _kind(connection, table, name)
            for name, required in policy.required_columns.items()
            if required is not None and name in names
        }
    return TableFacts(
        rows=rows,
        columns=tuple(
            ColumnFacts(
                name=name,
                kind=kinds.get(name, ("other", ""))[0],
                type_name=kinds.get(name, ("", ""))[1],
                missing=missing[name],
            )
            for name in names
        ),
        null_keys=null_keys,
        duplicate_keys=duplicate_keys,
        newest=newest,
    )


def as_table(sql: str) -> str:
    """Return a statement that selects all of `sql`, whatever it begins or ends with (WITH, a comment, a semicolon).

    Raises
    ------
    InputError
        `sql` is not one statement, or one that writes.
    """
    # The query is the DAG author's own statement; values belong in bound parameters, which are never pushed down.
    return f"SELECT * FROM (\n{one_statement(sql, uri='the validation')}\n) q"  # noqa: S608 - see above


def can_be_pushed_down(query: SqlQuery) -> bool:
    """Say whether a query can be evaluated inside the database.

    Not with bound parameters, nor with text that SQLAlchemy would take for one (`` :word``, also inside quotes):
    Great Expectations compiles the statement several times, and an escape would be lost on the way.

    Examples
    --------
    >>> can_be_pushed_down(SqlQuery("SELECT a::int, '12:30' FROM t", "db"))
    True
    >>> can_be_pushed_down(SqlQuery("SELECT * FROM t WHERE a = ':x'", "db"))
    False
    """
    return not query.parameters and re.search(r"(?<![:\w]):(?=\w)", query.sql) is None


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into ours; what the driver said is left out where it may quote a value."""
    from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError, TimeoutError

    try:
        yield
    except SQLAlchemyError as error:
        outage = isinstance(error, TimeoutError) or (isinstance(error, DBAPIError) and not _is_final(error))
        if outage:
            raise OutageError(
                f"The database failed ({type(error).__name__}); nothing was written to it. A retry may succeed."
            ) from None
        # Only what is said of the statement itself is safe to repeat; a conversion error quotes the value.
        says = getattr(error, "orig", error)
        named = isinstance(error, ProgrammingError) or getattr(says, "sqlite_errorcode", None) == _SQLITE_ERROR
        text = f": {str(says).strip().partition(chr(10))[0]}" if named else ""
        raise InputError(
            f"The database refused the query ({type(error).__name__}{text}). Hint: try it in a SQL client."
        ) from None


def _is_final(error: DBAPIError) -> bool:
    """Prefer the database's own code, because drivers file errors differently."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    final = is_final(error.orig) if error.orig is not None else None
    if final is not None:
        return final
    return not isinstance(error, OperationalError | InterfaceError)


@contextmanager
def _only_reading(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL and SQLite refuse whatever writes, until the connection goes back to its pool."""
    kind = connection.dialect.name
    if kind in READ_ONLY:
        connection.exec_driver_sql(READ_ONLY[kind])
    try:
        yield
    finally:
        if kind == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = OFF")


def _names(connection: Connection, sql: str) -> list[str]:
    from sqlalchemy import text

    names = list(connection.execute(text(f"{as_table(sql)} WHERE 1 = 0")).keys())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"Column names must be unique; found more than once: {', '.join(map(repr, twice))}.")
    return names


def _subquery(sql: str, names: Sequence[str]) -> Subquery:
    from sqlalchemy import column, text

    return text(as_table(sql)).columns(*(column(name) for name in names)).subquery("q")


def _missing(connection: Connection, table: Subquery, names: Sequence[str]) -> tuple[int, dict[str, int]]:
    from sqlalchemy import func, select

    rows, missing = 0, {}
    for start in range(0, len(names), COLUMNS_PER_STATEMENT):
        part = names[start : start + COLUMNS_PER_STATEMENT]
        counts = [func.count(table.c[name]) for name in part]
        total, *present = connection.execute(select(func.count().label("n"), *counts).select_from(table)).one()
        rows = int(total)
        missing.update({name: rows - int(count) for name, count in zip(part, present, strict=True)})
    return rows, missing


def _repeated(connection: Connection, table: Subquery, keys: Sequence[str]) -> tuple[int, int]:
    from sqlalchemy import and_, func, select

    if not keys:
        return 0, 0
    columns = [table.c[name] for name in keys]
    whole = and_(*(column.is_not(None) for column in columns))
    groups = select(func.count().label("n")).select_from(table).where(whole).group_by(*columns).subquery("g")
    distinct, with_key = connection.execute(select(func.count(), func.coalesce(func.sum(groups.c.n), 0))).one()
    rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return int(rows) - int(with_key), int(with_key) - int(distinct)


def _newest(connection: Connection, table: Subquery, policy: PreconditionPolicy) -> datetime | None:
    from sqlalchemy import func, select

    name = str(policy.timestamp_column)
    value = connection.execute(select(func.max(table.c[name]))).scalar_one()
    if isinstance(value, str):
        # SQLite keeps times as text.
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InputError(f"timestamp_column {name!r} holds text that is not ISO 8601.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InputError(f"timestamp_column {name!r} must hold times; the database gives {type(value).__name__}.")
    return aware(value, policy)


def _kind(connection: Connection, table: Subquery, name: str) -> tuple[ColumnKind, str]:
    from sqlalchemy import select

    column = table.c[name]
    values = connection.execute(select(column).where(column.is_not(None)).limit(VALUES_FOR_TYPE)).scalars()
    types = {type(value) for value in values}
    kinds = {_kind_of(kind) for kind in types}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    names = ", ".join(sorted(kind.__name__ for kind in types))
    return (kinds.pop() if len(kinds) == 1 else "other", names)


def _kind_of(python_type: type[Any]) -> ColumnKind:
    kinds: tuple[tuple[type[Any], ColumnKind], ...] = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (Decimal, "number"),
        (str, "string"),
        (date, "datetime"),
    )
    return next((kind for base, kind in kinds if issubclass(python_type, base)), "other")
