"""An evaluation whose task died after its verdict was recorded: its retry judges the same, or finds the verdict."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from sklearn.datasets import load_breast_cancer

from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators import evaluate_model
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.ledger import read_history
from airflow_mlops_provider.registry.promotion import promote
from airflow_mlops_provider.registry.session import Registry, open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, by_number

TOO_MUCH = {"gate": "min_metric", "metric": "roc_auc", "threshold": 0.9999}
NOW = "2026-11-20T00:00:00+00:00"


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "data.csv"
    load_breast_cancer(as_frame=True).frame.iloc[:, -4:].to_csv(path, index=False)
    return str(path)


@pytest.fixture
def evaluate(
    run_dag: Callable[..., Any], model_name: str, data: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Train, and evaluate with a first try that dies when its verdict is recorded, after something happened."""

    def run(meanwhile: Callable[[Registry], object], **arguments: Any) -> Any:
        tell = evaluate_model.result_of

        def die(*_: object) -> None:
            monkeypatch.setattr(evaluate_model, "result_of", tell)
            with open_registry(embedded_server()) as registry:
                meanwhile(registry)
            raise RuntimeError("the worker lost its node")

        monkeypatch.setattr(evaluate_model, "result_of", die)
        common = {"model_name": model_name, "data": data}
        with DAG(f"evaluate_again_{model_name}", schedule=None) as dag:
            train = TrainModelOperator(
                task_id="train",
                **common,
                target="target",
                estimator="sklearn.linear_model.LogisticRegression",
                folds=0,
            )
            judge = EvaluateModelOperator(
                task_id="evaluate",
                **common,
                on_reject="continue",
                retries=1,
                retry_delay=timedelta(0),
                **arguments,
            )
            train >> judge
        return run_dag(dag)

    return run


def entries(model_name: str) -> list[tuple[str, str]]:
    with open_registry(embedded_server()) as registry:
        return [(one.kind, one.subject.version) for one in read_history(registry, model_name).entries if one.subject]


def test_a_retry_judges_the_version_that_was_rejected_and_not_a_newer_challenger(
    evaluate: Callable[..., Any], model_name: str
) -> None:
    def another_comes(registry: Registry) -> None:
        registry.client.create_model_version(model_name, source="s3://models/none")
        registry.client.set_registered_model_alias(model_name, CHALLENGER, "2")

    outcome = evaluate(another_comes, gates=["min_rows", TOO_MUCH])
    result = outcome.xcoms["evaluate"]
    assert (result["version"], result["passed"], result["verdict"]) == ("1", False, "not_blessed")
    assert entries(model_name) == [("reject", "1")]


@pytest.mark.parametrize("version", [None, "{{ ti.xcom_pull('train')['version'] }}"])
def test_a_retry_finds_its_verdict_on_a_version_that_another_run_promoted_meanwhile(
    evaluate: Callable[..., Any], model_name: str, version: str | None
) -> None:
    def another_promotes(registry: Registry) -> None:
        assert promote(
            registry, by_number(registry, model_name, "1"), promoted_by={}, now=NOW, op=uuid.uuid4().hex
        ).promoted

    outcome = evaluate(another_promotes, gates=["min_rows"], version=version)
    result = outcome.xcoms["evaluate"]
    assert (result["version"], result["passed"], result["verdict"]) == ("1", True, "rubber_stamped")
    assert result["champion_version"] is None
    assert set(result["metrics"]) == {"challenger", "baseline"}
    assert [one["gate"] for one in result["gates"]] == ["min_rows"]
    assert entries(model_name) == [("promote", "1")]
