"""The whole loop, day by day: the champion is from the time before fibre, and the days' customers are all of them."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.train_model import TrainModelOperator

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_monitoring.py"
DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]
TASKS = ("deliver", "validate", "score", "detect_drift", "performance", "estimate", "retrain")


def load() -> Any:
    spec = importlib.util.spec_from_file_location("churn_monitoring", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def champion(run_dag: Callable[..., Any], telco: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of customers who had been there for a year and had no fibre."""
    name = load().MODEL_NAME
    customers = pd.read_csv(telco)
    path = tmp_path_factory.mktemp("before") / "customers.csv"
    customers[(customers["internet_service"] != "Fiber optic") & (customers["tenure"] > 12)].to_csv(path, index=False)
    with DAG("train_for_monitoring", schedule=None) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=name,
            data=str(path),
            target="churn",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(name, "champion", outcome.xcoms["train"]["version"])
    return name


@pytest.fixture(scope="module")
def training_dag(run_dag: Callable[..., Any]) -> None:
    """The DAG that is started is known to Airflow; `retrain` queues its run, and nothing here runs it."""
    spec = importlib.util.spec_from_file_location("churn_training", DAG_FILE.with_name("churn_training.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    bag = DagBag(dag_folder=str(DAG_FILE.parent / "data"))
    bag.bag_dag(module.dag)
    sync_bag_to_db(bag, "dags-folder", None)


@pytest.fixture(scope="module")
def days(
    run_dag: Callable[..., Any], champion: str, training_dag: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = str(tmp_path_factory.mktemp("windows"))
    return {day: run_dag(load().dag, conf={"folder": folder, "day": day, "customers": 3000}) for day in DAYS}


def test_try(days):
    for day, o in days.items():
        print(day, o.state, o.states, o.errors)
        for t in TASKS:
            x = o.xcoms.get(t) or {}
            print(
                "   ",
                t,
                {
                    k: x.get(k)
                    for k in (
                        "passed",
                        "verdict",
                        "reasons",
                        "value",
                        "reference",
                        "difference",
                        "labelled_rows",
                        "retrain",
                        "suppressed_by",
                        "notes",
                        "trigger_run_id",
                        "drifted",
                        "outcome",
                    )
                    if k in x
                },
            )
    assert 0
