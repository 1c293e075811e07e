"""The Airflow connection of type ``mlflow`` turned into an open registry session; the only place that reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.airflow_versions import with_form
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry

if TYPE_CHECKING:
    from airflow.sdk import Connection

TEST_TIMEOUT_SECONDS = 5


@with_form
class MlflowHook(BaseHook):
    """Reaches MLflow through an Airflow connection.

    Parameters
    ----------
    mlflow_conn_id : str, default "mlflow_default"
        Connection of type ``mlflow``: host, port, scheme (in Airflow's field ``schema``), login and password or a
        token. When ``mlflow_default`` itself is not defined, a SQLite store under ``AIRFLOW_HOME`` serves.
    """

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = "mlflow_default"
    conn_type = "mlflow"
    hook_name = "MLflow"

    def __init__(self, mlflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mlflow_conn_id = mlflow_conn_id

    def get_server(self) -> TrackingServer:
        """Return where the connection leads.

        Raises
        ------
        InputError
            The connection is missing, or what it says cannot be used.
        """
        try:
            connection = self.get_connection(self.mlflow_conn_id)
        except AirflowNotFoundException:
            return self._server_without_connection()
        return server_of(connection)

    async def aget_server(self) -> TrackingServer:
        """Return the same as :meth:`get_server`, without blocking the event loop of a triggerer."""
        try:
            connection = await get_async_connection(self.mlflow_conn_id, hook=self)
        except AirflowNotFoundException:
            return self._server_without_connection()
        # The plain property tells Airflow what to mask in the logs, and must not do so on an event loop.
        return server_of(connection, extra=await get_async_extra_dejson(connection))

    def _server_without_connection(self) -> TrackingServer:
        if self.mlflow_conn_id == self.default_conn_name:
            return embedded_server()
        raise InputError(
            f"Airflow has no connection {self.mlflow_conn_id!r}. Hint: add it with connection type mlflow."
        )

    @contextmanager
    def open(self) -> Iterator[Registry]:
        """Open a session; see :func:`airflow_mlops_provider.registry.session.open_registry`."""
        with open_registry(self.get_server()) as registry:
            yield registry

    def get_model_history(self, model_name: str, *, by: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return which version was champion from when to when, moved by whom and why.

        A champion that somebody set by hand in MLflow is entered, and a move whose task was killed is finished, as far
        as the account may write.

        Parameters
        ----------
        model_name : str
            Registered model.
        by : mapping of str to str, optional
            DAG, run and task that ask, for the record when something is noticed.

        Returns
        -------
        dict
            See :func:`airflow_mlops_provider.core.ledger.as_tables`.
        """
        from airflow_mlops_provider.core.ledger import as_tables
        from airflow_mlops_provider.registry.champion import settled_history

        with self.open() as registry:
            return as_tables(settled_history(registry, model_name, by=by or {"by": "get_model_history"}))

    def get_conn(self) -> TrackingServer:
        """Return where the connection leads; a client exists only inside :meth:`open`."""
        return self.get_server()

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for one experiment, with the connection's own credentials.

        Returns
        -------
        tuple of bool and str
            Whether it answered, and a sentence for the person who pressed the button.
        """
        import requests

        try:
            server = self.get_server()
        except InputError as error:
            return False, str(error)
        if not server.uri.startswith("http"):
            return True, f"Embedded store at {server.uri}."
        try:
            answer = requests.get(
                f"{server.uri.rstrip('/')}/api/2.0/mlflow/experiments/search",
                params={"max_results": 1},
                headers={"Authorization": f"Bearer {server.token}"} if server.token else {},
                auth=(server.username, server.password or "") if server.username and not server.token else None,
                verify=(server.ca_bundle or True) if server.verify_tls else False,
                timeout=TEST_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except OSError as error:  # of which requests' own errors, and a missing ca_bundle, are kinds
            return False, f"MLflow at {server.uri} cannot be reached: {type(error).__name__}."
        if answer.status_code == requests.codes.ok:
            return True, f"MLflow at {server.uri} answers."
        return False, f"MLflow at {server.uri} answered {answer.status_code}."


def server_of(connection: Connection, *, extra: dict[str, Any] | None = None) -> TrackingServer:
    """Return the server that a connection of type ``mlflow`` describes; its extra may have been read before."""
    host = (connection.host or "").strip()
    if not host:
        raise InputError(f"Connection {connection.conn_id!r} must have a host. Hint: e.g. mlflow.example.com.")
    if "://" not in host:
        host = f"{connection.schema or 'http'}://{host}"
    scheme, _, rest = host.partition("://")
    if scheme not in {"http", "https"}:
        raise InputError(f"Connection {connection.conn_id!r}: scheme must be http or https; got {scheme!r}.")
    authority, slash, path = rest.partition("/")
    authority = _authority(authority, connection.port, connection.conn_id)
    extra = connection.extra_dejson if extra is None else extra
    return TrackingServer(
        uri=f"{scheme}://{authority}{slash}{path}".rstrip("/"),
        username=connection.login or None,
        password=connection.password or None,
        token=extra.get("token") or None,
        verify_tls=_as_bool(extra.get("verify_tls", True)),
        ca_bundle=extra.get("ca_bundle") or None,
        ui_url=extra.get("ui_url") or None,
    )


def _authority(host: str, port: int | None, conn_id: str) -> str:
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # Airflow drops the brackets of an IPv6 address when it reads a connection URI.
    if not port:
        return host
    if host.rpartition(":")[2].isdigit():
        raise InputError(f"Connection {conn_id!r} must give its port once; got host {host!r} and port {port}.")
    return f"{host}:{port}"


def embedded_server() -> TrackingServer:
    """Return the SQLite store under ``AIRFLOW_HOME``: right for one machine, not for a team."""
    from airflow.configuration import AIRFLOW_HOME

    home = os.path.join(AIRFLOW_HOME, "mlflow")
    os.makedirs(home, exist_ok=True)
    return TrackingServer(uri=f"sqlite:///{home}/mlflow.db", artifact_root=f"{home}/artifacts")


def _as_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() not in {"false", "0", "no", "off"}
