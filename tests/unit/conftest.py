"""One trained champion of the churn table, shared by all tests that watch a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WATCHED = "churn watched"


@pytest.fixture(scope="session")
def watched(run_dag: Callable[..., Any], telco: Path) -> str:
    """Name of a model whose champion was trained on the churn table and keeps 1,000 of its rows."""
    from airflow.sdk import DAG

    from airflow_mlops_provider.hooks.mlflow import MlflowHook
    from airflow_mlops_provider.operators.train_model import TrainModelOperator
    from airflow_mlops_provider.registry.versions import CHAMPION

    with DAG("train_watched", schedule=None) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=WATCHED,
            data=str(telco),
            target="churn",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
            reference_sample_rows=1000,
        )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(WATCHED, CHAMPION, outcome.xcoms["train"]["version"])
    return WATCHED
