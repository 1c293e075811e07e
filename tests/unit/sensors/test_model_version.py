from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook, embedded_server
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.sensors.model_version import ModelVersionSensor
from tests.watched_model import WatchedModel

Wait = Callable[..., Any]


@pytest.fixture
def wait(run_dag: Callable[..., Any], model_name: str) -> Wait:
    """Run the sensor as the only task of a real DAG run."""

    def run(**settings: Any) -> Any:
        with DAG(dag_id=f"wait_{uuid4().hex[:8]}", schedule=None) as dag:
            ModelVersionSensor(
                task_id="wait", **{"model_name": model_name, "poke_interval": 0.2, "timeout": 60} | settings
            )
        return run_dag(dag)

    return run


@pytest.fixture
def later() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Do something while the sensor waits."""
    threads: list[threading.Thread] = []

    def start(step: Callable[[], Any]) -> None:
        def work() -> None:
            time.sleep(2)
            step()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.fixture
def promoted(airflow_home: Path, model_name: str) -> Callable[[], str]:
    """Make a new champion as a promotion does, and return its training run."""

    def promote() -> str:
        # No connection is asked for: for a second thread doing so, dag.test() of Airflow 3.1 can lose its server.
        with open_registry(embedded_server()) as registry:
            return WatchedModel(registry, model_name).promote()

    return promote


@pytest.mark.parametrize("way", [{"mode": "poke"}, {"mode": "reschedule"}])
def test_it_waits_for_model_and_champion_and_says_which_and_since_when(
    wait: Wait, later: Any, promoted: Callable[[], str], model_name: str, way: dict[str, Any]
) -> None:
    later(promoted)
    outcome = wait(alias="champion", **way)
    assert outcome.errors == {}
    result = outcome.xcoms["wait"]
    assert {key: result[key] for key in ("model_name", "alias", "version")} == {
        "model_name": model_name,
        "alias": "champion",
        "version": "1",
    }
    # By the ledger, in which the promotion has this time.
    assert result["since"] == "2026-01-01T00:00:00+00:00"
    with MlflowHook().open() as registry:
        assert result["run_id"] == registry.client.get_model_version(model_name, "1").run_id


def test_an_older_version_is_not_enough_and_a_newer_one_is(wait: Wait, later: Any, promoted: Callable[[], str]) -> None:
    promoted()
    later(promoted)
    result = wait(newer_than="{{ 1 }}").xcoms["wait"]
    assert result["version"] == "2"
    assert result["since"] == result["created_at"]
    assert wait(min_version=2, alias="champion").xcoms["wait"]["version"] == "2"


@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_a_timeout_fails_or_skips_as_asked(wait: Wait, soft_fail: bool, state: str) -> None:
    outcome = wait(alias="champion", timeout=0.1, soft_fail=soft_fail, retries=0)
    assert outcome.states["wait"] == state
    if not soft_fail:
        assert isinstance(outcome.errors["wait"], AirflowSensorTimeout)


def test_a_champion_that_a_person_set_is_found_and_nobody_knows_since_when(
    wait: Wait, promoted: Callable[[], str], model_name: str
) -> None:
    for _ in range(2):
        promoted()
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(model_name, "champion", "1")
    result = wait(alias="champion").xcoms["wait"]
    assert result["version"] == "1"
    assert result["since"] is None


def test_an_mlflow_that_is_away_is_waited_for_and_a_missing_connection_is_not(
    wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWAY_MLFLOW", json.dumps({"conn_type": "mlflow", "host": "127.0.0.1", "port": 9}))
    outcome = wait(alias="champion", mlflow_conn_id="away_mlflow", timeout=0.1, retries=0)
    assert isinstance(outcome.errors["wait"], AirflowSensorTimeout)
    outcome = wait(alias="champion", mlflow_conn_id="nowhere", retries=3)
    assert isinstance(outcome.errors["wait"], InvalidInputError)


@pytest.fixture
def deferring(airflow_home: Path, model_name: str) -> ModelVersionSensor:
    return ModelVersionSensor(
        task_id="wait",
        model_name=model_name,
        alias="champion",
        newer_than="3",
        deferrable=True,
        poke_interval=30,
        timeout=timedelta(hours=1),
    )


def test_what_goes_to_the_triggerer_is_what_is_waited_for_and_no_credentials(
    deferring: ModelVersionSensor, model_name: str
) -> None:
    with pytest.raises(TaskDeferred) as caught:
        deferring.execute({})
    _, arguments = caught.value.trigger.serialize()
    assert arguments == {
        "model_name": model_name,
        "alias": "champion",
        "min_version": 4,
        "mlflow_conn_id": "mlflow_default",
        "poll_interval_seconds": 30,
    }
    until = caught.value.kwargs["until"]
    assert 3500 < until - time.time() <= 3600
    # The trigger was too early, or a second one fired as well: it waits on, for the rest of the time.
    with pytest.raises(TaskDeferred) as again:
        deferring.execute_complete({}, event={"status": "found", "version": "4"}, until=until - 3000)
    assert again.value.timeout < timedelta(seconds=601)


def test_deferred_it_comes_back_with_the_version(deferring: ModelVersionSensor, promoted: Callable[[], str]) -> None:
    for _ in range(4):
        promoted()
    result = deferring.resume_execution("execute_complete", {"event": {"status": "found", "version": "4"}}, {})
    assert (result["version"], result["alias"]) == ("4", "champion")


@pytest.mark.parametrize(("soft_fail", "error"), [(False, InvalidInputError), (True, AirflowSkipException)])
def test_what_the_trigger_cannot_do_ends_the_wait(
    deferring: ModelVersionSensor, soft_fail: bool, error: type[BaseException]
) -> None:
    deferring.soft_fail = soft_fail
    event = {"status": "error", "message": "MLflow refused with 401."}
    with pytest.raises(error, match=None if soft_fail else "refused with 401"):
        deferring.resume_execution("execute_complete", {"event": event, "until": time.time() + 60}, {})


@pytest.mark.parametrize("settings", [{}, {"newer_than": 1, "min_version": 2}])
def test_it_must_be_told_what_to_wait_for_and_only_once(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="ModelVersionSensor"):
        ModelVersionSensor(task_id="wait", model_name="m", **settings)


@pytest.mark.parametrize(
    "settings", [{"newer_than": "three"}, {"alias": "Champion"}, {"alias": "x", "model_name": "a/b"}]
)
def test_what_a_template_gave_is_checked_before_mlflow_is_asked(wait: Wait, settings: dict[str, Any]) -> None:
    outcome = wait(**settings, retries=3)
    assert isinstance(outcome.errors["wait"], InvalidInputError)
