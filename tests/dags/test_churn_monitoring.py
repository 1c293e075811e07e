from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.hooks.mlflow import MlflowHook

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_monitoring.py"
QUIET = ["2026-01-05", "2026-01-06", "2026-01-07"]
SHIFTED = "2026-01-08"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("churn_monitoring", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def champion(run_dag: Callable[..., Any], telco: Path) -> str:
    """Train the model that the DAG watches, unless another test has already."""
    from airflow_mlops_provider.operators.train_model import TrainModelOperator
    from airflow_mlops_provider.registry.versions import CHAMPION, by_alias

    name = load().MODEL_NAME
    with MlflowHook().open() as registry:
        if by_alias(registry, name, CHAMPION) is not None:
            return name
    with DAG("train_for_monitoring", schedule=None) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=name,
            data=str(telco),
            target="churn",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
    outcome = run_dag(dag)
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(name, CHAMPION, outcome.xcoms["train"]["version"])
    return name


@pytest.fixture(scope="module")
def days(
    run_dag: Callable[..., Any], champion: str, airflow_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The shifted day first, then the days before it, as a backfill may; and the shifted day once more."""
    folder = str(tmp_path_factory.mktemp("windows"))
    found = {}
    runs = [(SHIFTED, SHIFTED, 12.0), *((day, day, 1.0) for day in reversed(QUIET)), ("again", SHIFTED, 12.0)]
    for key, day, weight in runs:
        found[key] = run_dag(load().dag, conf={"folder": folder, "day": day, "fibre_weight": weight})
    return found


@pytest.mark.parametrize("day", QUIET)
def test_days_of_customers_drawn_evenly_are_no_drift(days: dict[str, Any], day: str) -> None:
    outcome = days[day]
    assert outcome.states == {"sample_customers": "success", "validate": "success", "detect_drift": "success"}
    assert outcome.xcoms["validate"]["passed"] is True
    result = outcome.xcoms["detect_drift"]
    assert result["verdict"] == "no_drift"
    assert result["window_end"] == f"{day}T00:00:00+00:00"
    assert result["rows"] == 800


def test_a_day_of_other_customers_is_drift(days: dict[str, Any]) -> None:
    result = days[SHIFTED].xcoms["detect_drift"]
    assert result["verdict"] == "drift"
    assert {"contract", "internet_service", "monthly_charges"} <= set(result["drifted"])
    assert days[SHIFTED].state == "success"


def test_a_day_gives_the_same_whenever_it_is_run(days: dict[str, Any]) -> None:
    first, again = (days[key].xcoms["detect_drift"] for key in (SHIFTED, "again"))
    differ = {key for key in first if first[key] != again[key]}
    assert differ == {"run_id", "profile_uri"}


def test_without_a_day_the_window_ends_with_the_data_interval_and_never_now(
    run_dag: Callable[..., Any], champion: str, tmp_path: Path
) -> None:
    import datetime as dt

    dag = load().dag
    source = Path(DAG_FILE).read_text()
    assert "now(" not in source
    assert "today(" not in source
    outcome = run_dag(dag, conf={"folder": str(tmp_path)})
    ends = dt.datetime.fromisoformat(outcome.xcoms["detect_drift"]["window_end"])
    assert outcome.xcoms["sample_customers"]["day"] == f"{ends:%Y-%m-%d}"
