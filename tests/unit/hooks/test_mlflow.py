from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook, embedded_server, server_of
from tests.triggers import forbid_masking_on_the_loop


def connection(**fields: Any) -> Connection:
    return Connection(conn_id="mlflow_x", conn_type="mlflow", **fields)


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"host": "mlflow.example"}, "http://mlflow.example"),
        ({"host": "mlflow.example", "schema": "https", "port": 8443}, "https://mlflow.example:8443"),
        ({"host": "https://mlflow.example/base/"}, "https://mlflow.example/base"),
        ({"host": "https://mlflow.example/base", "port": 8443}, "https://mlflow.example:8443/base"),
        ({"host": "  mlflow.example  "}, "http://mlflow.example"),
        ({"host": "mlflow.example:5000"}, "http://mlflow.example:5000"),
        ({"host": "::1", "port": 5000}, "http://[::1]:5000"),
        ({"host": "[::1]", "port": 5000}, "http://[::1]:5000"),
        ({"host": "[::1]:5000"}, "http://[::1]:5000"),
    ],
)
def test_the_address_is_put_together_from_the_fields(fields: dict[str, Any], uri: str) -> None:
    assert server_of(connection(**fields)).uri == uri


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "must have a host"),
        ({"host": " "}, "must have a host"),
        ({"host": "mlflow.example", "schema": "ftp"}, "http or https; got 'ftp'"),
        ({"host": "file:///tmp/mlruns"}, "http or https; got 'file'"),
        ({"host": "mlflow.example:5000", "port": 5000}, "port once"),
        ({"host": "ann:hidden@mlflow.example"}, "must not hold a user"),
        ({"host": "169.254.169.254"}, "link-local"),
        ({"host": "mlflow.example", "extra": json.dumps({"ui_url": "javascript:x"})}, "ui_url"),
    ],
)
def test_connections_that_cannot_work_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        server_of(connection(**fields))
    assert "hidden" not in str(caught.value)


def test_credentials_and_tls_come_from_login_and_extra() -> None:
    extra = {"token": "t0ken-value", "verify_tls": False, "ca_bundle": "/ca.pem", "ui_url": "https://ui.example"}
    server = server_of(connection(host="h", login="ann", password="secret-1", extra=json.dumps(extra)))
    assert (server.username, server.password, server.token) == ("ann", "secret-1", "t0ken-value")
    assert (server.verify_tls, server.ca_bundle, server.ui_url) == (False, "/ca.pem", "https://ui.example")


@pytest.mark.parametrize(
    ("value", "checked"),
    [(True, True), (False, False), (None, True), ("false", False), ("False", False), ("0", False), ("x", True)],
)
def test_certificates_are_checked_unless_clearly_told_not_to(value: Any, checked: bool) -> None:
    assert server_of(connection(host="h", extra=json.dumps({"verify_tls": value}))).verify_tls is checked


def test_a_connection_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "mlflow://ann:p%40ss%2F1@h.example:5000/https")
    server = MlflowHook().get_server()
    assert (server.uri, server.username, server.password) == ("https://h.example:5000", "ann", "p@ss/1")


def test_without_the_default_connection_the_embedded_store_serves(airflow_home: Path) -> None:
    server = MlflowHook().get_server()
    assert server == embedded_server()
    assert server.uri == f"sqlite:///{airflow_home}/mlflow/mlflow.db"
    assert server.ui_base is None


def test_another_missing_connection_is_an_input_error(airflow_home: Path) -> None:
    with pytest.raises(InputError, match="'mlflow_eu'"):
        MlflowHook("mlflow_eu").get_server()


def test_the_hook_opens_a_working_session(airflow_home: Path, model_name: str) -> None:
    with MlflowHook().open() as registry:
        registry.client.create_registered_model(model_name)
        assert registry.client.get_registered_model(model_name).name == model_name


def test_the_test_button_reports_a_broken_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "mlflow://")
    ok, message = MlflowHook().test_connection()
    assert not ok
    assert "must have a host" in message


def test_the_test_button_reports_a_refused_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", f"mlflow://ann:secret-1@127.0.0.1:{port}")
    ok, message = MlflowHook().test_connection()
    assert not ok
    assert "cannot be reached" in message
    assert "secret-1" not in message


def test_the_test_button_reports_a_missing_ca_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "mlflow://127.0.0.1:9/https?ca_bundle=%2Fno%2Fsuch.pem"
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", uri)
    ok, _ = MlflowHook().test_connection()
    assert not ok


def test_the_test_button_accepts_the_embedded_store(airflow_home: Path) -> None:
    assert MlflowHook().test_connection()[0]


def test_a_trigger_reads_the_connection_without_asking_airflow_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, airflow_home: object
) -> None:
    forbid_masking_on_the_loop(monkeypatch)
    fields = {"conn_type": "mlflow", "host": "mlflow.example", "password": "p", "extra": {"token": "t0ken-value"}}
    monkeypatch.setenv("AIRFLOW_CONN_WATCHED", json.dumps(fields))
    server = asyncio.run(MlflowHook("watched").aget_server())
    assert (server.uri, server.token) == ("http://mlflow.example", "t0ken-value")
    assert server == MlflowHook("watched").get_server()
    with pytest.raises(InputError, match="no connection 'nowhere'"):
        asyncio.run(MlflowHook("nowhere").aget_server())
