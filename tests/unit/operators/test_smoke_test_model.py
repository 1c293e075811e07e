from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.smoke_environment import Interpreter
from airflow_mlops_provider.operators.smoke_test_model import SmokeTestModelOperator, ask, packages_that_differ
from airflow_mlops_provider.registry import artifacts
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import by_number

MODEL = "batch score churn"
CURRENT = Interpreter(python=sys.executable, search_path=os.pathsep.join(sys.path), environment="current")


@pytest.fixture
def smoke(run_dag: Callable[..., Any], versions: list[dict[str, Any]]) -> Callable[..., Any]:
    def run(**arguments: Any) -> Any:
        with DAG("smoke_test_model", schedule=None) as dag:
            SmokeTestModelOperator(task_id="smoke", model_name=MODEL, **{"environment": "current", **arguments})
        return run_dag(dag)

    return run


def artifact(run_id: str, name: str) -> Path:
    """Where the store keeps an artifact of a run."""
    with open_registry(embedded_server()) as registry:
        root = registry.client.get_run(run_id).info.artifact_uri
    return Path(root.removeprefix("file://")) / name


def test_a_sound_version_says_in_a_fresh_process_what_it_said_in_training(
    smoke: Callable[..., Any], versions: list[dict[str, Any]]
) -> None:
    result = smoke().xcoms["smoke"]
    assert result["passed"] is True
    assert result["version"] == versions[1]["version"]
    assert result["difference"] == pytest.approx(0, abs=1e-9)
    assert result["row_milliseconds"] > 0
    assert result["batch_milliseconds"] > 0
    assert result["packages_that_differ"] == {}


def test_in_a_clean_environment_of_its_requirements_it_says_the_same(smoke: Callable[..., Any]) -> None:
    result = smoke(environment="recorded", require_environment=True).xcoms["smoke"]
    assert (result["passed"], result["environment"], result["environment_note"]) == (True, "recorded", None)
    assert result["difference"] == pytest.approx(0, abs=1e-9)


def test_files_that_were_changed_are_rejected_before_any_process_sees_them(
    smoke: Callable[..., Any], versions: list[dict[str, Any]]
) -> None:
    with open_registry(embedded_server()) as registry:
        found = by_number(registry, MODEL, versions[1]["version"])
        path = Path(registry.client.get_logged_model(found.model_id).artifact_location.removeprefix("file://"))
    file = path / "model.skops"
    kept = file.read_bytes()
    file.write_bytes(kept[:-1])
    try:
        outcome = smoke()
    finally:
        file.write_bytes(kept)
    assert "are not those that were trained" in outcome.xcoms["smoke"]["reasons"][0]


def test_a_version_that_is_slower_than_allowed_is_rejected(smoke: Callable[..., Any]) -> None:
    outcome = smoke(max_row_milliseconds=1e-6, max_memory_megabytes=100_000)
    assert isinstance(outcome.errors["smoke"], RejectedError)
    assert [one.split(" ")[0] for one in outcome.xcoms["smoke"]["reasons"]] == ["row_milliseconds"]


def test_a_version_that_needs_more_memory_than_allowed_is_rejected_however_much_the_worker_holds(
    smoke: Callable[..., Any],
) -> None:
    # A peak of the worker far above that of a process with scikit-learn.
    held = np.ones(75 << 20)
    del held
    outcome = smoke(max_memory_megabytes=1)
    assert isinstance(outcome.errors["smoke"], RejectedError)
    assert [one.split(" ")[0] for one in outcome.xcoms["smoke"]["reasons"]] == ["memory_megabytes"]
    assert outcome.xcoms["smoke"]["memory_megabytes"] > 1


def test_files_that_do_not_give_the_stored_output_are_rejected(
    smoke: Callable[..., Any], versions: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "recorded_files", lambda *_: None)
    path = artifact(versions[1]["run_id"], "evidence/example.json")
    kept = path.read_text()
    example = json.loads(kept)
    example["output"]["probability"][0] += 0.01
    path.write_text(json.dumps(example))
    try:
        outcome = smoke()
    finally:
        path.write_text(kept)
    assert "do not give what the model gave" in outcome.xcoms["smoke"]["reasons"][0]


def test_requirements_that_were_changed_where_files_are_kept_are_not_installed(
    smoke: Callable[..., Any], versions: list[dict[str, Any]]
) -> None:
    path = artifact(versions[1]["run_id"], "evidence/training.json")
    kept = path.read_text()
    planted = {**json.loads(kept), "requirements": ["--find-links=http://127.0.0.1:1/", "pyarrow==0"]}
    path.write_text(json.dumps(planted))
    try:
        outcome = smoke(environment="recorded")
    finally:
        path.write_text(kept)
    assert "'evidence/training.json'" in str(outcome.errors["smoke"])
    assert "is not the one that was written in training" in str(outcome.errors["smoke"])


def test_a_version_without_an_example_is_rejected_unless_that_is_accepted(
    smoke: Callable[..., Any], versions: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "recorded_files", lambda *_: None)
    path = artifact(versions[1]["run_id"], "evidence/example.json")
    away = path.parent.parent / "example.away"
    os.rename(path, away)
    try:
        refused, accepted = smoke(), smoke(require_example=False)
    finally:
        os.rename(away, path)
    assert "carries no example" in refused.xcoms["smoke"]["reasons"][0]
    assert accepted.xcoms["smoke"]["passed"] is True


def test_an_example_that_was_deleted_where_files_are_kept_is_not_taken_for_none(
    smoke: Callable[..., Any], versions: list[dict[str, Any]]
) -> None:
    path = artifact(versions[1]["run_id"], "evidence/example.json")
    away = path.parent.parent / "example.away"
    os.rename(path, away)
    try:
        outcome = smoke(require_example=False)
    finally:
        os.rename(away, path)
    assert "was deleted after training" in outcome.xcoms["smoke"]["reasons"][0]


def test_a_version_trained_before_hashes_were_kept_is_tried_with_the_workers_packages_and_it_says_so(
    smoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "recorded_files", lambda *_: None)
    result = smoke(environment="recorded").xcoms["smoke"]
    assert (result["passed"], result["environment"]) == (True, "current")
    assert "nobody wrote down" in result["environment_note"]
    refused = smoke(environment="recorded", require_environment=True)
    assert isinstance(refused.errors["smoke"], RejectedError)


@pytest.mark.parametrize(
    ("alias", "message"), [("Champion", "capital letters"), ("latest", "MLflow keeps"), ("", "1 to")]
)
def test_an_alias_that_no_version_can_have_is_told_as_such(smoke: Callable[..., Any], alias: str, message: str) -> None:
    error = smoke(alias=alias).errors["smoke"]
    assert isinstance(error, InvalidInputError)
    assert message in str(error)


def test_a_process_that_does_not_end_is_ended_and_says_so() -> None:
    assert "did not end within" in ask({}, used=CURRENT, timeout_seconds=0.001)["error"]


def test_a_process_that_dies_says_how() -> None:
    assert "KeyError" in ask({}, used=CURRENT, timeout_seconds=60)["error"]


def test_packages_are_compared_with_those_of_training() -> None:
    import sklearn

    same = f"scikit-learn=={sklearn.__version__}"
    assert packages_that_differ([same]) == {}
    assert packages_that_differ(["scikit-learn==0.1"]) == {"scikit-learn": ("0.1", sklearn.__version__)}


def test_an_impossible_limit_shows_when_the_dag_is_parsed() -> None:
    with pytest.raises(InputError, match="row_milliseconds"):
        SmokeTestModelOperator(task_id="smoke", model_name=MODEL, max_row_milliseconds=0)
