from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.registry.evidence import read_evidence
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, by_alias

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_training.py"
LINEAR = "sklearn.linear_model.LogisticRegression"


@pytest.fixture(scope="module")
def dag(airflow_home: Path) -> Any:
    spec = importlib.util.spec_from_file_location("churn_training", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


@pytest.fixture(scope="module")
def runs(dag: Any, run_dag: Callable[..., Any]) -> list[Any]:
    """The DAG as it is shipped, twice."""
    return [run_dag(dag), run_dag(dag)]


def test_the_first_run_promotes_a_champion_whose_test_auc_is_at_least_083(runs: list[Any]) -> None:
    first = runs[0]
    assert first.states == dict.fromkeys(("validate", "train", "evaluate", "promote"), "success")
    found = first.xcoms["train"]["metrics"]["roc_auc"]
    assert found["value"] >= 0.83
    # DeLong's interval of about 1,400 customers is some 0.04 wide.
    assert 0.79 < found["lower"] < found["value"] < found["upper"] < 0.89
    assert first.xcoms["train"]["baseline"]["roc_auc"] == 0.5
    assert first.xcoms["evaluate"]["verdict"] == "rubber_stamped"
    with open_registry(embedded_server()) as registry:
        champion = by_alias(registry, "churn", CHAMPION)
        evidence, _ = read_evidence(registry, run_id=champion.run_id, version=champion.version, model_name="churn")
    assert champion.version == first.xcoms["train"]["version"]
    assert evidence.metrics["roc_auc"]["value"] == found["value"]


def test_the_second_run_does_not_promote_and_says_why(runs: list[Any]) -> None:
    second = runs[1]
    assert second.states == {"validate": "success", "train": "success", "evaluate": "skipped", "promote": "skipped"}
    (reason,) = second.xcoms["evaluate"]["reasons"]
    assert "Not shown to be better by more than 0" in reason
    assert second.xcoms["evaluate"]["champion_version"] == runs[0].xcoms["train"]["version"]
    assert "promote" not in second.xcoms
    with open_registry(embedded_server()) as registry:
        assert by_alias(registry, "churn", CHAMPION).version == runs[0].xcoms["train"]["version"]
        assert by_alias(registry, "churn", CHALLENGER).version == second.xcoms["train"]["version"]


def test_the_same_customers_give_the_same_model(runs: list[Any]) -> None:
    assert runs[0].xcoms["train"]["digest"] == runs[1].xcoms["train"]["digest"]


def test_data_target_candidates_and_thresholds_are_changed_by_hand(
    dag: Any, run_dag: Callable[..., Any], runs: list[Any], telco: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(telco.read_text().replace('"churn"', '"left"', 1))
    conf = {"data": str(other), "target": "left", "candidates": [LINEAR], "min_roc_auc": 0.99}
    outcome = run_dag(dag, conf=conf)
    assert outcome.states["train"] == "success"
    assert [one["name"] for one in outcome.xcoms["train"]["candidates"]] == ["LogisticRegression"]
    # The champion predicts another column, so it cannot be compared with.
    assert outcome.states["evaluate"] == "failed"
    assert "has target 'left', the champion 'churn'" in str(outcome.errors["evaluate"])
    assert outcome.states["promote"] == "upstream_failed"


def test_bad_customers_stop_before_training(dag: Any, run_dag: Callable[..., Any], runs: list[Any]) -> None:
    outcome = run_dag(dag, conf={"data": "/nowhere/customers.csv"})
    assert outcome.states["validate"] == "failed"
    assert outcome.states["train"] == outcome.states["promote"] == "upstream_failed"


@pytest.mark.parametrize(
    "conf", [{"candidates": []}, {"candidates": LINEAR}, {"min_roc_auc": 2}, {"target": None}, {"min_improvement": -1}]
)
def test_parameters_of_the_wrong_type_are_refused_before_the_run(
    dag: Any, run_dag: Callable[..., Any], conf: dict[str, Any]
) -> None:
    from airflow.providers.common.compat.sdk import ParamValidationError

    with pytest.raises((ParamValidationError, ValueError)):
        run_dag(dag, conf=conf)


def test_tasks_are_retried_with_growing_waits_and_need_no_logical_date(dag: Any) -> None:
    for one in dag.tasks:
        assert one.retries == 2
        assert one.retry_exponential_backoff
    text = DAG_FILE.read_text()
    assert "{{ ds" not in text
    assert "logical_date" not in text
