from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.registry.evidence import read_evidence
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, by_alias


def linear(X: Any, y: Any, C: float = 1.0) -> Any:
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object)),
        remainder=SimpleImputer(),
    )
    return make_pipeline(prepare, LogisticRegression(C=C, max_iter=2000)).fit(X, y)


@pytest.fixture(scope="module")
def outcome(run_dag: Callable[..., Any], telco: Path) -> Any:
    with DAG("train_by_functions", schedule=None, params={"name": "decorated"}) as dag:

        @task
        def where() -> str:
            return str(telco)

        @task
        def strength() -> float:
            return 0.5

        @task.train_model(model_name="{{ params.name }}", data=where(), target="churn", seed=3)
        def churn(X: Any, y: Any, C: float, dag: Any = None) -> Any:
            assert "churn" not in X
            assert dag.dag_id == "train_by_functions"
            return linear(X, y, C)

        @task.train_model(
            model_name="decorated keyed",
            data=str(telco),
            target="monthly_charges",
            split={"method": "random", "holdout_share": 0.5},
            features=["tenure", "senior_citizen"],
            metric="mae",
        )
        def charges(X: Any, y: Any) -> Any:
            return LinearRegression().fit(X, y)

        @task.train_model(model_name="decorated wrong", data=str(telco), target="churn")
        def wrong(X: Any, y: Any) -> Any:
            return LinearRegression()

        @task.train_model(model_name="decorated missing", data=str(telco) + ".gone", target="churn")
        def never(X: Any, y: Any) -> Any:
            raise AssertionError("called without data")

        @task
        def after(result: dict[str, Any]) -> str:
            return f"version {result['version']}"

        after(churn(C=strength()))
        charges()
        wrong()
        never()
    return run_dag(dag)


def test_a_function_that_fits_a_model_gets_all_the_tracking_of_the_operator(outcome: Any) -> None:
    assert (outcome.states["churn"], outcome.states["charges"]) == ("success", "success")
    result = outcome.xcoms["churn"]
    assert result["candidate"] == "churn"
    assert result["metrics"]["roc_auc"]["value"] > 0.8
    assert json.loads(json.dumps(result)) == result
    with open_registry(embedded_server()) as registry:
        version = by_alias(registry, "decorated", CHALLENGER)
        evidence, rows = read_evidence(registry, run_id=version.run_id, version="1", model_name="decorated")
        run = registry.client.get_run(version.run_id)
        names = {one.path for one in registry.client.list_artifacts(version.run_id, "figures")}
    assert run.data.tags["airflow.operator"] == "@task.train_model"
    assert run.data.tags["airflow.task_id"] == "churn"
    assert (evidence.seed, evidence.digest) == (3, result["digest"])
    # The table holds some rows twice.
    assert 0.99 * result["rows"]["training"] < rows.n_rows <= result["rows"]["training"]
    assert "figures/roc.svg" in names


def test_the_result_is_passed_on_like_that_of_any_task(outcome: Any) -> None:
    assert outcome.xcoms["after"] == "version 1"


def test_settings_mean_what_they_mean_for_the_operator(outcome: Any) -> None:
    result = outcome.xcoms["charges"]
    assert result["metric"] == "mae"
    # Within five standard deviations of half of 7,043 rows; "random" gives it exactly.
    assert result["rows"]["holdout"] in {3521, 3522}


def test_a_model_that_cannot_be_used_and_data_that_are_not_there_fail_at_once(outcome: Any) -> None:
    for task_id, message in (("wrong", "wrong returned LinearRegression unfitted"), ("never", ".gone")):
        assert outcome.states[task_id] == "failed"
        assert type(outcome.errors[task_id]) is InvalidInputError
        assert message in str(outcome.errors[task_id])


def test_an_asset_event_tells_of_the_version(outcome: Any) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == outcome.run_id)).all()
        told = {one.source_task_id: one.extra["version"] for one in found if one.source_dag_id == "train_by_functions"}
    assert told == {"churn": "1", "charges": "1"}


def use(function: Callable[..., Any], *arguments: Any, settings: dict[str, Any] | None = None, **named: Any) -> Any:
    function.__name__ = "fit"  # a lambda's own name is no task id
    with DAG("decorator_misused", schedule=None):
        given = {"model_name": "m", "data": "x.csv", "target": "y"} | (settings or {})
        return task.train_model(**given)(function)(*arguments, **named)


@pytest.mark.parametrize(
    ("function", "arguments", "named", "settings", "message"),
    [
        (lambda y: None, (), {}, {}, "must have the parameters X and y, the training rows; it lacks X"),
        (lambda: None, (), {}, {}, "it lacks X, y"),
        (lambda X, y, C: None, (1, 2, 3), {}, {}, "by keyword: @task.train_model fills X and y itself"),
        (lambda X, y: None, (), {"X": [1]}, {}, "fills X and y itself"),
        (lambda X, y: None, (), {}, {"metric": "auc"}, "Unknown metric 'auc'"),
        (lambda X, y: None, (), {}, {"split": {"method": "magic"}}, "method of Split must be one of"),
    ],
)
def test_misuse_is_found_when_the_dag_is_parsed(
    function: Any, arguments: tuple, named: dict, settings: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        use(function, *arguments, settings=settings, **named)
