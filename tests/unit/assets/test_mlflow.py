from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, Asset, task
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_mlops_provider.assets.mlflow import model_asset_uri, sanitize_uri
from airflow_mlops_provider.core.errors import InputError

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=100).filter(str.strip)


@given(names, st.sampled_from([None, "champion"]))
@example("a/b", None)
@example("a@b", "champion")
@example("..", None)
@example("50% off?#", None)
def test_any_name_gives_an_ascii_uri_that_airflow_keeps_as_it_is(name: str, alias: str | None) -> None:
    uri = model_asset_uri(name, alias=alias)
    assert uri.isascii()
    assert Asset(uri).uri == uri


@given(names, names)
def test_different_names_give_different_uris(one: str, other: str) -> None:
    assert (model_asset_uri(one) == model_asset_uri(other)) == (one == other)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("mlflow://models/churn", "mlflow://models/churn"),
        ("mlflow://models/churn/", "mlflow://models/churn"),
        ("MLFLOW://Models/churn@champion", "mlflow://models/churn@champion"),
        ("mlflow://models/credit risk", "mlflow://models/credit%20risk"),
        ("mlflow://models/credit%20risk", "mlflow://models/credit%20risk"),
        ("mlflow://models/größe", "mlflow://models/gr%C3%B6%C3%9Fe"),
    ],
)
def test_spellings_of_one_model_become_one_asset_uri(written: str, normal: str) -> None:
    assert Asset(name="model", uri=written).uri == normal


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow://runs/churn",
        "mlflow://models/",
        "mlflow://models",
        "mlflow:///churn",
        "mlflow://models/a/b",
        "mlflow://models/a@b@c",
        "mlflow://models/a@",
        "mlflow://models/@champion",
        "mlflow://models/a@cham pion",
        "mlflow://models/a?version=1",
        "mlflow://user@models/a",
        "mlflow://models:80/a",
        "mlflow://models/%FF",
        "mlflow://models/%20",
    ],
)
def test_uris_of_no_model_are_refused_when_the_dag_is_parsed(uri: str) -> None:
    with pytest.raises(InputError, match=r"model|alias"):
        Asset(name="model", uri=uri)


@pytest.mark.parametrize("name", ["", " ", "\n", "\ud800", "ü" * 300])
def test_names_that_cannot_be_an_asset_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="model_name"):
        model_asset_uri(name)


def test_the_longest_name_that_fits_is_accepted_by_airflow() -> None:
    name = "a" * (1500 - len("mlflow://models/"))
    assert len(Asset(model_asset_uri(name)).uri) == 1500
    with pytest.raises(InputError, match="1500"):
        model_asset_uri(name + "a")


def test_handler_is_idempotent() -> None:
    once = sanitize_uri(urlsplit("mlflow://MODELS/a b@champion"))
    assert sanitize_uri(once) == once


def test_a_task_in_a_real_dag_updates_the_asset(run_dag: Callable[..., Any]) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    uri = model_asset_uri("asset test: a@b", alias="champion")
    with DAG("asset_of_a_model", schedule=None) as dag:

        @task(outlets=[Asset(uri)])
        def promote() -> None:
            pass

        promote()
    assert run_dag(dag).state == "success"
    query = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id).where(AssetModel.uri == uri)
    with create_session() as session:
        events = session.scalars(query).all()
    assert len(events) == 1


@pytest.mark.parametrize("topic", ["drift", "performance"])
def test_what_happens_to_a_model_has_an_asset_of_its_own(topic: Any) -> None:
    uri = model_asset_uri("credit risk/EU", topic=topic)
    assert uri == f"mlflow://models/credit%20risk%2FEU/{topic}"
    assert Asset(uri).uri == uri
    assert model_asset_uri(f"churn/{topic}") != model_asset_uri("churn", topic=topic)
    with pytest.raises(InputError, match=f"for an alias or for {topic}"):
        model_asset_uri("churn", alias="champion", topic=topic)
