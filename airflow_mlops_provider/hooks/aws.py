"""The Airflow connection of type ``aws`` turned into a client of S3; the only place that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
from airflow.sdk import BaseHook

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.s3_client import client_config, default_client, s3_errors

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_CONN_ID = "aws_default"


def s3_clients() -> Callable[[str | None], Any]:
    """Return what makes a client for the connection that an address names, one for each.

    For an address that names none: the connection of the Airflow option ``aws_conn_id`` in section ``mlops``, or, when
    that is ``aws_default`` and not defined, boto3's own chain.

    Raises
    ------
    InputError
        When called: a connection is not defined or not usable.
    """
    return cache(lambda conn_id: _client(_lookup(conn_id)))


async def s3_clients_async(conn_ids: Iterable[str | None]) -> Callable[[str | None], Any]:
    """Return the same for the triggerer, where connections must be asked for without blocking.

    What it returns is for a thread of its own: making a client takes long, and reads the connection's extra, which must
    not be done on an event loop.

    Raises
    ------
    InputError
        A connection is not defined.
    """
    found = {}
    for conn_id in conn_ids:
        name = conn_id or _default_name()
        try:
            found[conn_id] = await get_async_connection(name)
        except AirflowNotFoundException:
            _check_optional(conn_id, name)
    return cache(lambda conn_id: _client(found.get(conn_id)))


def _lookup(conn_id: str | None) -> Connection | None:
    name = conn_id or _default_name()
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        _check_optional(conn_id, name)
        return None


def _default_name() -> str:
    from airflow.configuration import conf

    return conf.get("mlops", "aws_conn_id", fallback=DEFAULT_CONN_ID) or DEFAULT_CONN_ID


def _check_optional(conn_id: str | None, name: str) -> None:
    if conn_id is not None or name != DEFAULT_CONN_ID:
        raise InputError(f"The Airflow connection {name!r} is not defined. Hint: add it with connection type aws.")


def _client(connection: Connection | None) -> Any:
    if connection is None:
        return default_client(None)
    if connection.conn_type != "aws":
        raise InputError(
            f"The Airflow connection {connection.conn_id!r} is of type {connection.conn_type!r}. "
            "Hint: S3 needs one of type aws."
        )
    try:
        from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory
        from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    except ImportError as error:
        raise InputError(
            f"The Airflow connection {connection.conn_id!r} cannot be used without the Amazon provider. "
            "Hint: pip install 'airflow-mlops-provider[amazon]' on the workers."
        ) from error
    with s3_errors(f"connection {connection.conn_id!r}"):
        try:
            settings = AwsConnectionWrapper(conn=connection)
            config = client_config()
            if settings.botocore_config is not None:
                config = config.merge(settings.botocore_config)
            session = BaseSessionFactory(conn=settings, config=config).create_session()
            return session.client(
                "s3", endpoint_url=settings.get_service_endpoint_url("s3"), verify=settings.verify, config=config
            )
        except (AirflowException, ValueError) as error:
            raise InputError(f"The Airflow connection {connection.conn_id!r} is not usable: {error}") from error
