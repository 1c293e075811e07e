from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.hooks.mlflow import MlflowHook

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_backtest.py"


@pytest.fixture(scope="module")
def outcome(run_dag: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    spec = importlib.util.spec_from_file_location("churn_backtest", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return run_dag(module.dag, conf={"folder": str(tmp_path_factory.mktemp("months"))})


def test_the_default_policy_holds_the_metric_of_the_best_with_few_trainings(outcome: Any) -> None:
    assert outcome.errors == {}
    found = {one["policy"]: one for one in outcome.xcoms["backtest"]["policies"]}
    assert set(found) == {"default", "monthly", "any drift", "never"}
    ours = found["default"]
    best = max(found.values(), key=lambda one: one["mean"])
    # 300 rows a month leave a standard error of 0.027 in each month's value.
    assert ours["mean"] >= best["mean"] - 0.01, found
    assert ours["retrains"] <= best["retrains"] / 2, found
    assert found["never"]["mean"] < ours["mean"] - 0.03, found
    assert found["never"]["degraded_days"] > 4 * ours["degraded_days"], found


def test_april_brings_drift_that_does_not_hurt_and_june_a_change_that_does(outcome: Any) -> None:
    found = {one["policy"]: one["retrained_at"] for one in outcome.xcoms["backtest"]["policies"]}
    assert found["any drift"][0].startswith("2025-05-01")
    assert [one[:10] for one in found["default"]] == ["2025-07-01", "2025-08-01"]


def test_policies_share_the_models_that_they_both_ask_for(outcome: Any) -> None:
    result = outcome.xcoms["backtest"]
    asked = sum(one["retrains"] for one in result["policies"])
    assert result["trainings"] < 1 + asked
    assert result["windows"] == 10


def test_its_record_tells_each_decision_and_its_report_is_whole(outcome: Any, tmp_path: Path) -> None:
    result = outcome.xcoms["backtest"]
    with MlflowHook().open() as registry:
        folder = Path(registry.client.download_artifacts(result["run_id"], "backtest", str(tmp_path)))
    told = json.loads((folder / "replays.json").read_text())
    monthly = next(one for one in told["replays"] if one["policy"] == "monthly")
    assert [one["window_end"][:7] for one in monthly["windows"] if one["retrained"]] == [
        f"2025-{month:02}" for month in range(2, 12)
    ]
    html = (folder / "report.html").read_text()
    assert html.count("<tr>") == 5
    assert "data:image/svg+xml;base64," in html
