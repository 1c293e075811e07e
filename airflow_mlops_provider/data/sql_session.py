"""Makes a database connection one that only reads, where its kind can; must never leave a setting to other users of it.

PostgreSQL is told for the transaction and not for the session, because a pool in between gives one session to many.
"""

from __future__ import annotations

from typing import Any

_IDLE = 0
POSTGRES_DRIVERS = frozenset({"psycopg", "psycopg2"})


def drivers_of(connection: Any) -> set[str]:
    """Return the packages that the connection's classes come from."""
    return {base.__module__.partition(".")[0] for base in type(connection).__mro__}


def only_read(connection: Any) -> None:
    """Let the database refuse whatever writes: PostgreSQL and SQLite do.

    Elsewhere a write is undone, since nobody commits it, but for what those databases commit by themselves.

    Parameters
    ----------
    connection : DB-API 2 connection
        Fresh, and closed by the caller.
    """
    drivers = drivers_of(connection)
    if drivers & POSTGRES_DRIVERS:
        if connection.info.transaction_status == _IDLE:
            # Drivers say it with the BEGIN, which also the relatives of PostgreSQL understand.
            connection.autocommit = False
            if "psycopg2" in drivers:
                connection.readonly = True
            else:
                connection.read_only = True
        else:
            connection.cursor().execute("SET TRANSACTION READ ONLY")
    elif "sqlite3" in drivers:
        connection.execute("PRAGMA query_only = ON")
