from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "validate_only.py"


@pytest.fixture
def dag(airflow_home: Path) -> Any:
    spec = importlib.util.spec_from_file_location("validate_only", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def test_good_data_reach_the_next_step(dag: Any, run_dag: Callable[..., Any]) -> None:
    outcome = run_dag(dag)
    assert outcome.states == {"extract": "success", "validate": "success", "publish": "success"}
    assert outcome.xcoms["validate"]["rows"] == 7043
    assert outcome.xcoms["publish"].endswith("telco_churn.csv are good")


def test_bad_data_stop_the_run_before_the_next_step(
    dag: Any, run_dag: Callable[..., Any], telco: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.csv"
    spoilt.write_text(telco.read_text().replace('"No",1,0,1,0,1,', '"Perhaps",1,0,1,0,1,'))
    outcome = run_dag(dag, conf={"data": str(spoilt), "min_rows": 10_000})
    assert outcome.states["validate"] == "failed"
    assert outcome.states["publish"] == "upstream_failed"
    verdict = outcome.xcoms["validate"]
    assert verdict["passed"] is False
    assert verdict["reasons"][0] == "the table has 7043 rows; at least 10000 required"
    assert any(reason.startswith("expect_column_values_to_be_in_set on 'churn' fails") for reason in verdict["reasons"])
