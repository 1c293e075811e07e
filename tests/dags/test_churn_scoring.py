from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.exceptions import RejectedError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.train_model import TrainModelOperator

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_scoring.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("churn_scoring", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def models(run_dag: Callable[..., Any], telco: Path) -> None:
    """A champion and a challenger of the model that the DAG scores with."""
    name = load().MODEL_NAME
    with DAG("train_for_scoring", schedule=None) as dag:
        tasks = [
            TrainModelOperator(
                task_id=f"train_{number}", model_name=name, data=str(telco), target="churn", estimator=path, folds=0
            )
            for number, path in enumerate(["sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.GaussianNB"])
        ]
        tasks[0] >> tasks[1]
    outcome = run_dag(dag)
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(name, "champion", outcome.xcoms["train_0"]["version"])


def test_a_day_is_scored_shadowed_and_checked_for_drift(
    run_dag: Callable[..., Any], models: None, tmp_path: Path
) -> None:
    outcome = run_dag(load().dag, conf={"folder": str(tmp_path), "day": "2026-03-01"})
    assert outcome.errors == {}
    result = outcome.xcoms["score"]
    assert result["rows"] == 800
    assert len(result["shadows"]) == 1
    assert outcome.xcoms["detect_drift"]["verdict"] == "no_drift"
    (compared,) = outcome.xcoms["compare_shadow"]["comparisons"]
    assert compared["labelled_rows"] == 800
    assert compared["record"]["difference"]["metric"] == "roc_auc"
    scores = pd.read_parquet(tmp_path / "scores" / "day=2026-03-01" / "part-00000.parquet")
    assert scores["customer"].is_unique
    assert scores["probability"].between(0, 1).all()


def test_a_broken_delivery_is_scored_for_nobody(run_dag: Callable[..., Any], models: None, tmp_path: Path) -> None:
    outcome = run_dag(load().dag, conf={"folder": str(tmp_path), "day": "2026-03-02", "charges_factor": 1000})
    assert isinstance(outcome.errors["score"], RejectedError)
    assert outcome.states["detect_drift"] == "upstream_failed"
    assert list((tmp_path / "scores").iterdir()) == []
