"""A trained champion and challenger, shared by the tests of scoring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.session import open_registry

MODEL = "batch score churn"


@pytest.fixture(scope="session")
def customers(telco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Today's customers: real rows without labels, with a number."""
    path = tmp_path_factory.mktemp("customers") / "customers.parquet"
    frame = pd.read_csv(telco).drop(columns="churn").sample(1_000, random_state=3)
    frame.insert(0, "customer", np.arange(len(frame)))
    frame.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="session")
def versions(run_dag: Callable[..., Any], telco: Path) -> list[dict[str, Any]]:
    """Two versions: the champion, and a challenger of another kind."""
    with DAG("scoring_models", schedule=None) as dag:
        tasks = [
            TrainModelOperator(
                task_id=name, model_name=MODEL, data=str(telco), target="churn", estimator=estimator, folds=0
            )
            for name, estimator in (
                ("linear", "sklearn.linear_model.LogisticRegression"),
                ("tree", {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 4}}),
            )
        ]
        tasks[0] >> tasks[1]
    outcome = run_dag(dag)
    assert outcome.errors == {}
    with open_registry(embedded_server()) as registry:
        registry.client.set_registered_model_alias(MODEL, "champion", outcome.xcoms["linear"]["version"])
    return [outcome.xcoms["linear"], outcome.xcoms["tree"]]
