"""Tells a database that is down from a statement that is wrong, without repeating secrets; must never retry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.sql_failure import is_final

_MAX_MESSAGE = 500
_URI_LOGIN = re.compile(r"(\w+://)[^/\s@]+@")
_PASSWORD_FIELD = re.compile(r"(?i)\b(password|passwd|pwd|token|secret)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;&]+)")
# PostgreSQL and MySQL drivers give no code for a login that the server refused.
_FINAL_LOGIN = re.compile(r"authentication failed|FATAL: .*does not exist|Access denied")
_FINAL_NAMES = frozenset({"ProgrammingError", "DataError", "IntegrityError", "NotSupportedError", "Warning"})
_DB_API_NAMES = (
    frozenset({"Error", "DatabaseError", "InterfaceError", "OperationalError", "InternalError"}) | _FINAL_NAMES
)
# What drivers raise in place of their own errors when parameters do not match the statement.
_PARAMETER_ERRORS = (TypeError, ValueError, LookupError, OverflowError)


@contextmanager
def database_errors(uri: str, secrets: Sequence[str]) -> Iterator[None]:
    """Translate what a DB-API driver raises; the original is not chained, since its text may hold credentials.

    Parameters
    ----------
    uri : str
        What to call the database in messages.
    secrets : sequence of str
        Texts to leave out, in plain or URL-encoded form; logins in URIs and ``password=`` fields always are.

    Raises
    ------
    InputError
        The statement, its parameters or the login are wrong.
    OutageError
        The database did not answer, or gave up.
    """
    try:
        yield
    except Exception as error:
        translated = _translated(error, uri, secrets)
        if translated is None:
            raise
        raise translated from None


def _translated(error: Exception, uri: str, secrets: Sequence[str]) -> Exception | None:
    names = {base.__name__ for base in type(error).__mro__}
    is_database_error = isinstance(error, OSError) or (bool(names & _DB_API_NAMES) and "Error" in names)
    if not is_database_error and not isinstance(error, _PARAMETER_ERRORS):
        return None
    text = f"{type(error).__name__}: {_scrubbed(str(error), secrets)}"
    if _is_final(error, names):
        return InputError(f"The query of {uri} is refused by the database. {text}. Hint: try it in a SQL client.")
    return OutageError(f"The database of {uri} did not answer the query, which changed nothing there. {text}.")


def _is_final(error: Exception, names: set[str]) -> bool:
    """Prefer the database's own code, because drivers file errors differently."""
    if isinstance(error, OSError):
        return False
    if (final := is_final(error)) is not None:
        return final
    refused = bool(_FINAL_LOGIN.search(str(error)))
    return refused or bool(names & _FINAL_NAMES) or isinstance(error, _PARAMETER_ERRORS)


def _scrubbed(text: str, secrets: Sequence[str]) -> str:
    # What follows the first line quotes the statement, whose literals may be personal data.
    text = next(iter(text.strip().splitlines()), "")
    # SQLite's driver quotes the value that it cannot decode.
    text = text.partition(" with text ")[0]
    for secret in filter(None, secrets):
        for form in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(form, "***")
    text = _PASSWORD_FIELD.sub(r"\1\2***", _URI_LOGIN.sub(r"\1***@", text))
    return " ".join(text.split())[:_MAX_MESSAGE].rstrip(".")
