"""Takes one reading statement out of what a user wrote as SQL; must never rewrite what is inside of it.

This is no parser: it knows where texts, names and comments end, and so which semicolons part statements. What it lets
pass by mistake meets a session that only reads; see ``data.sql_session``.
"""

from __future__ import annotations

import re

from airflow_mlops_provider.core.errors import InputError

# A doubled quote ends a text and begins the next one, which comes to the same. Only the E of PostgreSQL makes a
# backslash special everywhere; a text that MySQL ends later than here is at worst refused. Comments do not nest here:
# where they do, less than here is statement.
_TOKEN = re.compile(
    r"""
    (?P<gap>\s+ | --[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<end>;)
    | \b[eE]'(?:[^'\\]|\\.)*(?:'|\Z)
    | '[^']*(?:'|\Z) | "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z)
    | (?<![\w$])\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    | \w+ | .
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z]+")
# Their answer is no table, or they have done their work before it is one.
_WRITING = frozenset(
    {
        *("alter", "analyze", "attach", "begin", "commit", "copy", "create", "delete", "detach", "drop", "grant"),
        *("insert", "load", "lock", "merge", "optimize", "reindex", "rename", "replace", "revoke", "rollback"),
        *("savepoint", "set", "start", "truncate", "update", "upsert", "use", "vacuum"),
    }
)


def one_statement(sql: str, *, uri: str) -> str:
    """Return the only statement in `sql`, without the semicolon and what stands after it.

    Parameters
    ----------
    sql : str
        As the user wrote it.
    uri : str
        What the data are called, for messages.

    Raises
    ------
    InputError
        There is none, there are several, or it is one that writes.

    Examples
    --------
    >>> one_statement("SELECT a FROM t; -- all", uri="sql://db")
    'SELECT a FROM t'
    """
    begin, is_open = 0, False
    found: list[int] = []
    ends: list[int] = []
    for token in _TOKEN.finditer(sql):
        if token["end"] is not None:
            begin, is_open = (begin if found else token.end()), False
            ends.append(token.start())
        elif token["gap"] is None and not is_open:
            found.append(token.start())
            is_open = True
    if not found:
        raise InputError(f"The query of {uri} is empty. Hint: give one SELECT.")
    if len(found) > 1:
        raise InputError(
            f"The query of {uri} is {len(found)} statements, of which none was run. Hint: give one SELECT; a semicolon "
            "inside of a text can be a bound parameter."
        )
    word = _WORD.match(sql, found[0])
    if word is not None and word[0].lower() in _WRITING:
        raise InputError(
            f"The query of {uri} begins with {word[0].upper()}, which returns no rows or writes, and was not run. "
            "Hint: give one SELECT."
        )
    # A comment that no semicolon parts off stays: to MySQL, what begins with two dashes need not be one.
    end = next((at for at in ends if at > found[0]), len(sql))
    return sql[begin:end].strip()
