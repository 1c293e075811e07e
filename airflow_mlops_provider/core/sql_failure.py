"""Says from a database's own codes whether asking again can help; knows no driver by its classes."""

from __future__ import annotations

# SQLSTATE classes that a retry does not cure: unsupported, data, constraint, a write in a session that reads, login,
# cursor, catalogue, schema, syntax.
_FINAL_SQLSTATES = ("0A", "22", "23", "25006", "28", "34", "3D", "3F", "42")
# Busy, locked, out of memory, interrupted, disk fault, disk full, cannot open, lock protocol. What else SQLite says
# is of the statement or of the file.
_PASSING_SQLITE_CODES = frozenset({5, 6, 7, 9, 10, 13, 14, 15})
_PRIMARY = 0xFF


def is_final(error: BaseException) -> bool | None:
    """Tell whether a driver's error comes again when the same is asked again; None when it carries no code.

    Parameters
    ----------
    error : Exception
        As the driver raised it.

    Examples
    --------
    >>> import sqlite3
    >>> is_final(sqlite3.OperationalError("Could not decode to UTF-8 column 'a'"))
    True
    >>> is_final(ValueError("x")) is None
    True
    """
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(sqlstate, str):
        return sqlstate.startswith(_FINAL_SQLSTATES)
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & _PRIMARY not in _PASSING_SQLITE_CODES
    # What SQLite's driver says by itself has no code, and is of the values or of the call.
    return True if type(error).__module__ == "sqlite3" else None
