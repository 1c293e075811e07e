"""Counts the rows of a query inside the database; no row comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow_mlops_provider.core.sql_statement import one_statement
from airflow_mlops_provider.data.sql_errors import database_errors
from airflow_mlops_provider.data.sql_session import only_read


def count_rows_of_query(
    *,
    connect: Callable[[], Any],
    sql: str,
    parameters: Mapping[str, Any] | Sequence[Any] | None = None,
    uri: str,
    secrets: Sequence[str] = (),
) -> int:
    """Return how many rows a query gives; arguments and errors are those of ``open_query``.

    Returns
    -------
    int
        0 when it gives none: who counts may wait for the first.
    """
    # The query is the DAG author's own statement; values are bound. It may end in a comment, hence the line breaks.
    counting = f"SELECT COUNT(*) FROM (\n{one_statement(sql, uri=uri)}\n) q"  # noqa: S608
    with database_errors(uri, secrets), closing(connect()) as connection:
        only_read(connection)
        cursor = connection.cursor()
        # Without parameters, a driver leaves the percent signs of the statement alone.
        cursor.execute(counting) if parameters is None else cursor.execute(counting, parameters)
        row = cursor.fetchone()
    return int(next(iter(row.values())) if isinstance(row, Mapping) else row[0])
