from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import RejectedError
from airflow_mlops_provider.operators.check_feature_skew import CheckFeatureSkewOperator

MODEL = "batch score churn"


@pytest.fixture
def check(run_dag: Callable[..., Any], versions: list[dict[str, Any]]) -> Callable[..., Any]:
    def run(**arguments: Any) -> Any:
        with DAG("check_feature_skew", schedule=None) as dag:
            CheckFeatureSkewOperator(task_id="check", model_name=MODEL, **arguments)
        return run_dag(dag)

    return run


def test_rows_like_those_of_training_pass_and_leave_their_profile(
    check: Callable[..., Any], customers: Path, versions: list[dict[str, Any]]
) -> None:
    result = check(data=str(customers), known_columns=["customer"]).xcoms["check"]
    assert result["passed"] is True
    assert result["verdict"] == "no_skew"
    assert result["findings"] == []
    assert result["version"] == versions[0]["version"]
    assert result["profile_uri"].startswith(f"runs:/{result['run_id']}/")


def test_findings_name_feature_check_and_severity(check: Callable[..., Any], customers: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.csv"
    rows = pd.read_parquet(customers)
    rows.assign(contract=rows["contract"].str.upper()).drop(columns="partner").to_csv(spoilt, index=False)
    outcome = check(data=str(spoilt))
    assert isinstance(outcome.errors["check"], RejectedError)
    found = {(one["what"], one["check"], one["severity"]) for one in outcome.xcoms["check"]["findings"]}
    assert found == {
        ("contract", "unseen", "critical"),
        ("partner", "missing", "critical"),
        ("customer", "extra", "warning"),
    }


def test_booleans_are_the_zeros_and_ones_that_they_are_to_the_model(
    check: Callable[..., Any], customers: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(customers)
    path = tmp_path / "booleans.parquet"
    rows.assign(partner=rows["partner"].astype(bool)).to_parquet(path)
    assert check(data=str(path), known_columns=["customer"]).xcoms["check"]["findings"] == []


def test_a_file_without_any_feature_is_a_verdict_and_no_crash(check: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("x,y\n1,2\n")
    result = check(data=str(path), on_reject="continue").xcoms["check"]
    assert result["passed"] is False
    assert len(result["reasons"]) == 19


def test_a_wrong_policy_shows_when_the_dag_is_parsed() -> None:
    with pytest.raises(InputError, match="unseen_shares"):
        CheckFeatureSkewOperator(task_id="check", model_name=MODEL, data="a.csv", policy={"unseen_shares": 0.1})
