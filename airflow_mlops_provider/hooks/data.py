"""From an operator's ``data=`` to rows that can be read; the only place where data meet Airflow connections."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.s3_path import S3Path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk import Asset

    from airflow_mlops_provider.data.source import DataSource

_SECRET_KEY = re.compile(r"(?i)pass|secret|token|key")


def open_data(data: str | Path | Asset | SqlQuery | Sequence[str | Path | Asset]) -> DataSource:
    """Open what the user calls the data.

    Parameters
    ----------
    data : str, Path, Asset, SqlQuery or sequence
        A path, a ``file://`` or ``s3://`` address, folder, pattern, asset or a list of those; or a query, which runs
        now and once. ``s3://conn_id@bucket/key`` names the Airflow connection to take.

    Returns
    -------
    DataSource
        To be used as a context manager: the rows of a query are kept on disk until it is closed.

    Raises
    ------
    InputError
        Nothing is there, the data are empty or not allowed, the connection is not defined or of another kind, or the
        storage or database refuses.
    OutageError
        The storage or database does not answer.
    """
    if isinstance(data, SqlQuery):
        return _open_query(data)
    from airflow_mlops_provider.data.table_files import open_files

    return open_files(data, access=airflow_access())


def airflow_access() -> DataAccess:
    """Return how this deployment's tasks reach data, and the option ``allowed_data_prefixes`` of section ``mlops``."""
    from airflow_mlops_provider.hooks.aws import s3_clients

    return DataAccess(s3_client=s3_clients(), allowed_prefixes=_allowed_prefixes())


async def airflow_access_async(places: Iterable[str | S3Path]) -> DataAccess:
    """Return the same for a triggerer, whose connections must be asked for beforehand and without blocking.

    Parameters
    ----------
    places : iterable of str or S3Path
        What ``place_of`` said of the data.

    Raises
    ------
    InputError
        A connection is not defined.
    """
    from airflow_mlops_provider.hooks.aws import s3_clients_async

    conn_ids = {place.conn_id for place in places if isinstance(place, S3Path)}
    return DataAccess(s3_client=await s3_clients_async(conn_ids), allowed_prefixes=_allowed_prefixes())


def _allowed_prefixes() -> tuple[str, ...]:
    from airflow.configuration import conf

    text = conf.get("mlops", "allowed_data_prefixes", fallback="") or ""
    return tuple(one.strip() for one in re.split(r"[,\n]", text) if one.strip())


def sql_hook(conn_id: str) -> DbApiHook:
    """Return the hook of an Airflow connection of any SQL provider.

    Raises
    ------
    InputError
        The connection is not defined, its provider is not installed, or it is not of a SQL provider.
    """
    from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk import BaseHook

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise InputError(f"The Airflow connection {conn_id!r} is not defined. Hint: add it, or fix conn_id.") from None
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]  # Airflow's own signature
    # AttributeError: Airflow's own types without a hook, such as generic.
    except (AirflowException, AttributeError, ImportError) as error:
        raise InputError(
            f"No hook for the Airflow connection {conn_id!r} of type {connection.conn_type!r}. "
            "Hint: install the Airflow provider of that database on the worker."
        ) from error
    if not isinstance(hook, DbApiHook):
        raise InputError(
            f"The Airflow connection {conn_id!r} is of type {connection.conn_type!r}, which is no SQL database. "
            "Hint: SqlQuery needs a connection of a SQL provider."
        )
    return hook


def count_rows_of(query: SqlQuery) -> int:
    """Return how many rows a query gives, counted inside the database; raises as `open_data` does."""
    from airflow_mlops_provider.data.sql_count import count_rows_of_query

    return count_rows_of_query(**_arguments_of(query))


def _open_query(query: SqlQuery) -> DataSource:
    from airflow_mlops_provider.data.sql import open_query

    return open_query(**_arguments_of(query))


def _arguments_of(query: SqlQuery) -> dict[str, Any]:
    hook = sql_hook(query.conn_id)
    return {
        "connect": hook.get_conn,
        "sql": query.sql,
        "parameters": query.parameters,
        "uri": f"sql://{query.conn_id}",
        "secrets": _secrets_of(hook.connection),
    }


def _secrets_of(connection: Any) -> list[str]:
    """Return the password and what the extra calls a secret."""
    extra = connection.extra_dejson
    return [connection.password or "", *(str(extra[key]) for key in extra if _SECRET_KEY.search(key))]
