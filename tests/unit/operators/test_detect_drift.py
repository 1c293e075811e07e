from __future__ import annotations

import json
import sqlite3
import sys
import types
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import jinja2
import pandas as pd
import pytest
from airflow.sdk import DAG
from scipy.stats import wasserstein_distance

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, DetectDriftOperator
from airflow_mlops_provider.operators.drift_record import REPORT, RESULT

Detect = Callable[..., Any]


@pytest.fixture(scope="module")
def windows(telco: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Days of real customers without labels: drawn evenly, and with a preference that shifts several columns."""
    folder = tmp_path_factory.mktemp("windows")
    customers = pd.read_csv(telco).drop(columns="churn")
    favoured = (customers["contract"] == "Month-to-month") & (customers["internet_service"] == "Fiber optic")
    tables = {
        "quiet": customers.sample(900, random_state=1),
        "shifted": customers.sample(900, random_state=2, weights=favoured.map({True: 12.0, False: 1.0})),
        "few": customers.sample(40, random_state=3),
        "retyped": customers.sample(900, random_state=4).assign(tenure=lambda frame: frame["tenure"].astype(str) + "m"),
        "narrow": customers.sample(900, random_state=5).drop(columns=["tenure"]).assign(region="north"),
    }
    written = {}
    for name, table in tables.items():
        written[name] = folder / f"{name}.parquet"
        table.to_parquet(written[name], index=False)
    written["empty"] = folder / "empty.parquet"
    customers.head(0).to_parquet(written["empty"], index=False)
    return written


@pytest.fixture(scope="module")
def detect(run_dag: Callable[..., Any]) -> Detect:
    """Run checks as the tasks of one real DAG run; task to its settings."""

    def run(tasks: dict[str, dict[str, Any]], *, conf: dict[str, Any] | None = None, **arguments: Any) -> Any:
        with DAG(dag_id=f"drift_{uuid4().hex[:8]}", schedule=None, **arguments) as dag:
            made = [DetectDriftOperator(task_id=task_id, **settings) for task_id, settings in tasks.items()]
            for one, other in pairwise(made):
                one >> other
                other.trigger_rule = "all_done"
        return run_dag(dag, conf=conf)

    return run


def artifacts(result: dict[str, Any], folder: Path) -> tuple[Any, dict[str, Any], str]:
    """Return the MLflow run of a check, its JSON and its report."""
    with MlflowHook().open() as registry:
        files = [registry.client.download_artifacts(result["run_id"], name, str(folder)) for name in (RESULT, REPORT)]
        run = registry.client.get_run(result["run_id"])
    return run, json.loads(Path(files[0]).read_text()), Path(files[1]).read_text()


def asset_events(run_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return task, asset and extra of the events of a DAG run."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == run_id)).all()
        return [(event.source_task_id, event.asset.uri, event.extra) for event in found]


def trend(model_name: str) -> dict[str, list[Any]]:
    """Return the points of the newest trend run of a model, by metric."""
    with MlflowHook().open() as registry:
        (run,) = registry.client.search_runs(
            [registry.experiment_id(f"{model_name} monitoring")], filter_string="tags.`mlops.trend` != ''"
        )
        return {name: registry.client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}


@pytest.fixture(scope="module")
def checked(detect: Detect, watched: str, windows: dict[str, Path]) -> tuple[Any, list[Any]]:
    """One DAG run of checks of every kind, and what alerts heard."""
    heard: list[Any] = []

    def check(name: str, **settings: Any) -> dict[str, Any]:
        return {"data": str(windows[name]), "model_name": watched, "retries": 2, **settings}

    def pager_is_broken(context: Any) -> None:
        raise RuntimeError("no network")

    alerts = [pager_is_broken, lambda context: heard.append(context["verdict"])]
    outcome = detect(
        {
            "quiet": check("quiet", window_end="2026-01-01", alerts=alerts),
            "shifted": check("shifted", window_end="2026-01-02", alerts=alerts),
            "again": check("shifted", window_end="2026-01-02"),
            "fail": check("shifted", on_drift="fail", window_end="2026-01-02"),
            "skip": check("shifted", on_drift="skip", window_end="2026-01-02"),
            "few": check("few", window_end="2026-01-04"),
            "strict": check("few", allow_insufficient_data=False, on_drift="fail", window_end="2026-01-04"),
            "retyped": check("retyped", window_end="2026-01-05"),
            "narrow": check("narrow", window_end="2026-01-06"),
            "previous": check("quiet", reference="previous", window_end="2026-01-03"),
            "first": check("quiet", reference="previous", window_end="2025-01-01"),
            "empty": check("empty"),
            "absent": check("empty") | {"data": "/nowhere/{{ 'day' }}.csv"},
            "no_such_model": check("quiet") | {"model_name": "nobody"},
            "bad_end": check("quiet", window_end="yesterday"),
        }
    )
    return outcome, heard


def test_quiet_data_are_no_drift_and_no_asset_event(checked: Any, watched: str, tmp_path: Path) -> None:
    outcome, _ = checked
    result = outcome.xcoms["quiet"]
    assert outcome.states["quiet"] == "success"
    assert (result["verdict"], result["passed"], result["drifted"]) == ("no_drift", True, [])
    assert result["reference"] == "the 5631 rows that version 1 of model 'churn watched' was trained on"
    assert (result["rows"], result["n_judged"]) == (900, 19)  # of 20 columns; unlabelled rows lack the target
    assert result["schema"] == {"missing": [], "new": [], "retyped": {}}
    assert result["multivariate"]["domain_classifier"]["n_reference"] == 1000
    assert not result["multivariate"]["domain_classifier"]["drift"]
    assert len(json.dumps(result)) < 4000
    run, whole, report = artifacts(result, tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.tags["airflow.task_id"] == "quiet"
    assert run.data.metrics["is_drift"] == 0
    assert (
        run.data.metrics["effect.tenure"]
        == whole["columns"][[c["column"] for c in whole["columns"]].index("tenure")]["effect"]["value"]
    )
    assert "✓ No drift" in report


def test_shifted_data_are_drift_with_reasons_report_and_alerts(checked: Any, tmp_path: Path) -> None:
    outcome, heard = checked
    result = outcome.xcoms["shifted"]
    assert outcome.states["shifted"] == "success"
    assert (result["verdict"], result["passed"]) == ("drift", False)
    assert {"contract", "internet_service"} <= set(result["drifted"])
    assert "of the importance" in result["reasons"][0]
    assert result.pop("alerts_failed") == ["pager_is_broken"]
    assert heard == [result]
    run, whole, report = artifacts(result, tmp_path)
    assert whole["verdict"] == "drift"
    assert run.data.tags["mlops.verdict"] == "drift"
    assert run.inputs.dataset_inputs[0].dataset.name == "shifted.parquet"
    together = result["multivariate"]
    assert together["domain_classifier"]["drift"]
    assert run.data.metrics["multivariate.domain_classifier.roc_auc"] == together["domain_classifier"]["roc_auc"] > 0.6
    assert "does not decide the verdict" in report
    assert f"ROC AUC {together['domain_classifier']['roc_auc']:.3f}" in report
    assert report.index("✗ Drift") < report.index("<code>contract</code>") < report.index("<code>partner</code>")


@pytest.mark.parametrize(("task", "state"), [("shifted", "success"), ("fail", "failed"), ("skip", "skipped")])
def test_drift_does_to_the_task_what_was_asked_and_its_xcom_stays(checked: Any, task: str, state: str) -> None:
    outcome, _ = checked
    assert outcome.states[task] == state
    assert outcome.xcoms[task]["verdict"] == "drift"
    if state == "failed":
        assert type(outcome.errors[task]).__name__ == "RejectedError"


def test_only_drift_of_a_task_that_succeeds_is_an_asset_event(checked: Any, watched: str) -> None:
    outcome, _ = checked
    events = {task: (uri, extra) for task, uri, extra in asset_events(outcome.run_id)}
    assert set(events) == {"again", "narrow", "previous", "retyped", "shifted"}
    uri, extra = events["shifted"]
    assert uri == "mlflow://models/churn%20watched/drift"
    assert extra["model_name"] == watched
    assert extra["run_id"] == outcome.xcoms["shifted"]["run_id"]
    assert "contract" in extra["drifted"]


def test_too_few_rows_are_no_verdict_and_pass_only_where_that_is_allowed(checked: Any) -> None:
    outcome, _ = checked
    few = outcome.xcoms["few"]
    assert (outcome.states["few"], few["verdict"], few["passed"]) == ("success", "insufficient_data", True)
    assert few["reasons"] == ["no column could be judged: 40 current rows, 100 needed"]
    assert (outcome.states["strict"], outcome.xcoms["strict"]["passed"]) == ("failed", False)


def test_a_changed_schema_is_drift_by_itself(checked: Any) -> None:
    outcome, _ = checked
    retyped, narrow = outcome.xcoms["retyped"], outcome.xcoms["narrow"]
    assert retyped["schema"]["retyped"] == {"tenure": {"reference": "numeric", "current": "text"}}
    assert retyped["verdict"] == "drift"
    assert "column tenure changed from numeric to text" in retyped["reasons"]
    assert (narrow["schema"]["missing"], narrow["schema"]["new"]) == (["tenure"], ["region"])
    assert narrow["verdict"] == "drift"


def test_the_previous_window_is_the_last_one_before_in_time_not_in_order_of_runs(checked: Any) -> None:
    outcome, _ = checked
    previous = outcome.xcoms["previous"]  # checked after the windows to 4, 5 and 6 January
    assert previous["reference"] == "the window to 2026-01-02T00:00:00+00:00"
    assert previous["verdict"] == "drift"
    assert "contract" in previous["drifted"]


def test_the_first_window_has_nothing_before_it_and_says_so(checked: Any) -> None:
    outcome, _ = checked
    first = outcome.xcoms["first"]
    assert first["verdict"] == "insufficient_data"
    assert first["reasons"] == [
        "there is no window before 2025-01-01T00:00:00+00:00 that was checked under churn watched version 1"
    ]
    assert set(first) == set(outcome.xcoms["quiet"])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("empty", "has columns but no rows"),
        ("absent", r"/nowhere/day.csv does not exist"),
        ("no_such_model", "nobody"),
        ("bad_end", "window_end must be a time in ISO 8601; got 'yesterday'"),
    ],
)
def test_what_cannot_be_compared_fails_without_retry(checked: Any, task: str, message: str) -> None:
    outcome, _ = checked
    assert outcome.states[task] == "failed"
    assert task not in outcome.xcoms
    assert type(outcome.errors[task]).__name__ == "InvalidInputError"
    with pytest.raises(Exception, match=message):
        raise outcome.errors[task]


def test_the_trend_has_each_window_once_however_often_it_is_checked(checked: Any, watched: str) -> None:
    points = trend(watched)
    shifted = [point for point in points["drifted_columns"] if point.timestamp == 1767312000000]  # 2 January
    assert len(shifted) == 1
    assert shifted[0].value == checked[0].xcoms["shifted"]["n_drifted"]
    assert {point.step for point in points["rows"]} >= {1767225600, 1767312000, 1767398400}


def test_a_new_champion_starts_a_new_row_of_windows(
    detect: Detect, checked: Any, watched: str, windows: dict[str, Path], run_dag: Any, telco: Path
) -> None:
    with MlflowHook().open() as registry:
        client = registry.client
        first = client.get_model_version(watched, "1")
        source = client.get_run(first.run_id)
        twin = client.create_run(source.info.experiment_id)
        folder = Path(source.info.artifact_uri.removeprefix("file://")) / "evidence"
        client.log_artifacts(twin.info.run_id, str(folder), "evidence")
        second = client.create_model_version(watched, source=first.source, run_id=twin.info.run_id)
        client.set_registered_model_alias(watched, "champion", second.version)
        try:
            settings = {"data": str(windows["quiet"]), "model_name": watched, "reference": "previous"}
            outcome = detect(
                {
                    "one": {**settings, "window_end": "2026-02-01"},
                    "two": {**settings, "window_end": "2026-02-02"},
                    "one_again": {**settings, "window_end": "2026-02-01"},
                }
            )
        finally:
            client.set_registered_model_alias(watched, "champion", "1")
    assert outcome.xcoms["one"]["verdict"] == "insufficient_data"
    assert outcome.xcoms["two"]["reference"] == "the window to 2026-02-01T00:00:00+00:00"
    assert outcome.xcoms["two"]["verdict"] == "no_drift"
    assert outcome.xcoms["one_again"]["verdict"] == "insufficient_data"


def test_small_samples_with_rows_on_both_sides_are_compared_exactly(
    detect: Detect, windows: dict[str, Path], telco: Path, tmp_path: Path
) -> None:
    policy = DriftPolicy(ignore_columns=["gender"])
    outcome = detect({"check": {"data": str(windows["shifted"]), "reference": str(telco), "policy": policy}})
    result = outcome.xcoms["check"]
    _, whole, report = artifacts(result, tmp_path)
    columns = {one["column"]: one for one in whole["columns"]}
    before, after = pd.read_csv(telco), pd.read_parquet(windows["shifted"])
    for name in ("monthly_charges", "total_charges"):
        expected = wasserstein_distance(before[name].dropna(), after[name].dropna()) / before[name].std(ddof=0)
        assert columns[name]["form"] == "exact"
        assert columns[name]["effect"]["value"] == pytest.approx(expected, rel=1e-6)
    assert columns["contract"]["form"] == "cells"  # which are exact for categories
    assert result["reference"].endswith("telco_churn.csv (7043 rows)")
    assert result["model_name"] is None
    assert "churn" in result["schema"]["missing"]
    assert "; exact" in report
    assert "gender" not in columns


def test_a_query_its_reference_and_its_window_are_templates(
    detect: Detect, watched: str, telco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from tests.airflow_versions import HookInfo, TaskProviders

    class FileHook(DbApiHook):
        conn_name_attr = "sqlite_conn_id"
        conn_type = "driftlite"

        def get_conn(self) -> sqlite3.Connection:
            return sqlite3.connect(self.connection.host)

    path = tmp_path / "churn.db"
    with closing(sqlite3.connect(path)) as connection:
        pd.read_csv(telco).to_sql("churn", connection, index=False)
    module = types.ModuleType("drift_hook_of_tests")
    module.FileHook = FileHook
    monkeypatch.setitem(sys.modules, "drift_hook_of_tests", module)
    info = HookInfo("drift_hook_of_tests.FileHook", "sqlite_conn_id", "tests", "SQLite", "driftlite", False)
    monkeypatch.setitem(TaskProviders().hooks, "driftlite", info)
    monkeypatch.setenv("AIRFLOW_CONN_DRIFTLITE", json.dumps({"conn_type": "driftlite", "host": str(path)}))
    query = SqlQuery("SELECT * FROM churn WHERE tenure >= {{ params.least }}", "driftlite")
    outcome = detect(
        {
            "against_model": {"data": query, "model_name": "{{ params.name }}", "window_end": "{{ params.end }}"},
            "against_query": {"data": str(telco), "reference": query},
        },
        params={"least": 0, "name": watched, "end": "2025-12-31"},
    )
    assert outcome.errors == {}
    result = outcome.xcoms["against_model"]
    assert (result["verdict"], result["rows"], result["model_name"]) == ("no_drift", 7043, watched)
    assert result["window_end"] == "2025-12-31T00:00:00+00:00"
    assert outcome.xcoms["against_query"]["reference"] == "sql://driftlite (7043 rows)"
    assert outcome.xcoms["against_query"]["verdict"] == "no_drift"


def test_a_run_without_a_logical_date_covers_the_time_up_to_when_it_was_to_start() -> None:
    class Run:
        data_interval_end = None
        run_after = datetime(2026, 5, 6, tzinfo=UTC)

    assert jinja2.Template(WINDOW_END).render(dag_run=Run()) == "2026-05-06 00:00:00+00:00"
    Run.data_interval_end = datetime(2026, 5, 5, tzinfo=UTC)
    assert jinja2.Template(WINDOW_END).render(dag_run=Run()) == "2026-05-05 00:00:00+00:00"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "data, or their profile: one of the two"),
        ({"data": "a.csv", "profile": "runs:/x"}, "one of the two"),
        ({"data": "a.csv"}, "without model_name needs a reference"),
        ({"data": "a.csv", "reference": "previous"}, "without model_name needs a reference"),
        ({"data": "a.csv", "model_name": "m", "policy": {"fdr": 2}}, "fdr of DriftPolicy"),
        ({"data": "a.csv", "model_name": "m", "policy": {"numeric": "psy"}}, "psi"),
        ({"data": "a.csv", "model_name": "m", "on_drift": "shrug"}, "fail, skip, continue"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_at_parse(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectDriftOperator(task_id="check", **settings)
