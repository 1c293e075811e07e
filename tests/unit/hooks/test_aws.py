"""S3 is reached through Airflow's connections, or as boto3 finds it; a wrong key is told and not repeated."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.aws import s3_clients, s3_clients_async
from airflow_mlops_provider.hooks.data import open_data
from tests.conftest import Bucket

KEYS = {"login": "from-connection", "password": "secret-of-connection"}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, airflow_home: object) -> Any:
    def define(name: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "aws", **fields}))

    return define


def key_of(client: Any) -> str:
    return str(client._request_signer._credentials.access_key)


def test_without_a_connection_boto3_finds_its_credentials(s3: Bucket, airflow_home: object) -> None:
    with open_data(s3.put("a.csv", b"x\n1\n")) as source:
        assert source.count_rows() == 1
    assert key_of(s3_clients()(None)) == "tests"


def test_the_default_connection_gives_keys_and_endpoint(
    s3: Bucket, s3_url: str, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = s3.put("a.csv", b"x\n1\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    connect("aws_default", **KEYS, extra={"endpoint_url": s3_url, "region_name": "eu-west-1"})
    client = s3_clients()(None)
    assert (key_of(client), client.meta.endpoint_url, client.meta.region_name) == (KEYS["login"], s3_url, "eu-west-1")
    with open_data(uri) as source:
        assert source.count_rows() == 1


def test_an_address_may_name_its_connection_and_the_deployment_another_default(
    s3: Bucket, s3_url: str, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("a.csv", b"x\n1\n")
    connect("minio", **KEYS, extra={"service_config": {"s3": {"endpoint_url": s3_url}}})
    clients = s3_clients()
    assert (key_of(clients("minio")), key_of(clients(None))) == (KEYS["login"], "tests")
    assert clients("minio") is clients("minio")
    with open_data(f"s3://minio@{s3.name}/a.csv") as source:
        assert source.fingerprint().uri == f"s3://minio@{s3.name}/a.csv"
    monkeypatch.setenv("AIRFLOW__MLOPS__AWS_CONN_ID", "minio")
    assert key_of(s3_clients()(None)) == KEYS["login"]


def test_the_triggerer_asks_for_connections_beforehand(s3: Bucket, connect: Any) -> None:
    connect("minio", **KEYS)
    clients = asyncio.run(s3_clients_async({None, "minio"}))
    assert (key_of(clients("minio")), key_of(clients(None))) == (KEYS["login"], "tests")
    with pytest.raises(InputError, match="'nowhere' is not defined"):
        asyncio.run(s3_clients_async({"nowhere"}))


def test_a_connection_that_cannot_serve_is_refused_without_its_secret(
    s3: Bucket, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("other", conn_type="http", **KEYS)
    connect("profile", extra={"profile_name": "nobody"})
    for conn_id, words in (("other", "type 'http'"), ("nowhere", "not defined"), ("profile", "nobody")):
        with pytest.raises(InputError, match=words) as caught:
            s3_clients()(conn_id)
        assert KEYS["password"] not in str(caught.value)
    connect("aws_default", **KEYS)
    monkeypatch.setitem(sys.modules, "airflow.providers.amazon.aws.hooks.base_aws", None)
    with pytest.raises(InputError, match=r"airflow-mlops-provider\[amazon\]"):
        s3_clients()(None)


def test_only_allowed_prefixes_are_read(s3: Bucket, monkeypatch: pytest.MonkeyPatch, airflow_home: object) -> None:
    uri = s3.put("b/a.csv", b"x\n1\n")
    monkeypatch.setenv("AIRFLOW__MLOPS__ALLOWED_DATA_PREFIXES", f"/nowhere,\n{s3.uri('a')}")
    with pytest.raises(InputError, match="allowed_data_prefixes"):
        open_data(uri)
    monkeypatch.setenv("AIRFLOW__MLOPS__ALLOWED_DATA_PREFIXES", s3.uri("b/"))
    open_data(uri).close()
