from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.data import airflow_access
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.sensors.data_drift import DataDriftSensor
from airflow_mlops_provider.triggers.new_data import NewDataTrigger, state_of

Wait = Callable[..., Any]


@pytest.fixture(scope="module")
def tables(telco: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tables")
    customers = pd.read_csv(telco).drop(columns="churn")
    weights = (customers["contract"] == "Month-to-month").map({True: 15.0, False: 1.0})
    made = {
        "quiet": customers.sample(600, random_state=1),
        "shifted": customers.sample(600, random_state=2, weights=weights),
        "header": customers.head(0),
    }
    for name, table in made.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return {name: folder / f"{name}.csv" for name in made}


@pytest.fixture
def wait(run_dag: Callable[..., Any], watched: str) -> Wait:
    """Run the sensor as the only task of a real DAG run."""

    def run(**settings: Any) -> Any:
        with DAG(dag_id=f"wait_{uuid4().hex[:8]}", schedule=None) as dag:
            DataDriftSensor(
                task_id="wait",
                **{"model_name": watched, "poke_interval": 0.2, "timeout": 60, "window_end": "2026-03-01", **settings},
            )
        return run_dag(dag)

    return run


@pytest.fixture
def later() -> Any:
    """Do something to the files while the sensor waits."""
    threads: list[threading.Thread] = []

    def start(*steps: Callable[[], Any]) -> None:
        def work() -> None:
            for step in steps:
                time.sleep(1.0)
                step()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def broken_pager(context: Any) -> None:
    raise ConnectionError("the pager is away")


def checks_of(experiment: str) -> list[Any]:
    with MlflowHook().open() as registry:
        found = registry.client.search_runs([registry.experiment_id(experiment)])
    return [run for run in found if "mlops.window_end" in run.data.tags]


def replace(source: Path, target: Path) -> None:
    """Put a file in place at once, as a careful writer does."""
    part = target.with_name(f"_{target.name}")
    shutil.copyfile(source, part)
    part.rename(target)


@pytest.mark.parametrize("deferrable", [False, True])
def test_it_waits_while_data_are_absent_or_without_rows_or_quiet_and_ends_with_drift(
    wait: Wait, later: Any, tables: dict[str, Path], tmp_path: Path, deferrable: bool
) -> None:
    target = tmp_path / "today.csv"
    later(
        *(lambda name=name: replace(tables[name], target) for name in ("header", "quiet", "shifted")),
    )
    experiment = f"waiting {uuid4().hex[:8]}"
    heard: list[Any] = []
    alerts = [broken_pager, lambda context: heard.append(context["alert"].subject)]
    outcome = wait(data=str(target), deferrable=deferrable, experiment_name=experiment, alerts=alerts)
    assert outcome.errors == {}
    assert outcome.states["wait"] == "success"
    result = outcome.xcoms["wait"]
    assert heard == [f"{result['model_name']}: drift (wait)"]
    assert result["alerts_failed"] == ["broken_pager"]
    assert (result["verdict"], result["passed"], result["rows"]) == ("drift", False, 600)
    assert "contract" in result["drifted"]
    (check,) = checks_of(experiment)  # of all its looks, the one that found drift
    assert check.info.run_id == result["run_id"]
    assert check.data.tags["airflow.operator"] == "DataDriftSensor"


@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_a_timeout_without_drift_fails_or_skips_as_asked(
    wait: Wait, tables: dict[str, Path], soft_fail: bool, state: str
) -> None:
    outcome = wait(data=str(tables["quiet"]), timeout=0.1, soft_fail=soft_fail, retries=0)
    assert outcome.states["wait"] == state
    if not soft_fail:
        assert isinstance(outcome.errors["wait"], AirflowSensorTimeout)


def test_in_reschedule_mode_it_gives_its_slot_back_until_there_is_drift(
    wait: Wait, later: Any, tables: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "today.csv"
    replace(tables["quiet"], target)
    later(lambda: replace(tables["shifted"], target))
    outcome = wait(data=str(target), mode="reschedule")
    assert outcome.states["wait"] == "success"
    assert outcome.xcoms["wait"]["verdict"] == "drift"


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_what_can_never_be_compared_ends_the_wait_at_once(
    wait: Wait, tmp_path: Path, deferrable: bool, soft_fail: bool, state: str
) -> None:
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and then nothing")
    outcome = wait(data=str(damaged), deferrable=deferrable, soft_fail=soft_fail, retries=3)
    assert outcome.states["wait"] == state
    if not soft_fail:
        assert type(outcome.errors["wait"]).__name__ == "InvalidInputError"


def test_an_absent_reference_is_not_waited_for(wait: Wait, tables: dict[str, Path]) -> None:
    outcome = wait(data=str(tables["quiet"]), reference="/nowhere/reference.csv")
    assert outcome.states["wait"] == "failed"
    with pytest.raises(Exception, match=r"The reference has no rows: .*/nowhere/reference.csv does not exist"):
        raise outcome.errors["wait"]


@pytest.fixture
def deferring(watched: str, tables: dict[str, Path], airflow_home: Path) -> DataDriftSensor:
    """A sensor whose look finds no drift, so that what it hands to the triggerer can be seen."""
    sensor = DataDriftSensor(
        task_id="wait", model_name=watched, data=str(tables["quiet"]), deferrable=True, timeout=timedelta(hours=1)
    )
    sensor.look = lambda context: None
    return sensor


def test_what_goes_to_the_triggerer_is_paths_and_what_was_seen_and_the_rest_of_the_time(
    deferring: DataDriftSensor, tables: dict[str, Path]
) -> None:
    with pytest.raises(TaskDeferred) as caught:
        deferring.execute({})
    trigger = caught.value.trigger
    assert isinstance(trigger, NewDataTrigger)
    assert trigger.paths == [str(tables["quiet"])]
    assert trigger.seen == state_of(trigger.paths, airflow_access())
    assert trigger.poll_interval_seconds == 60
    until = caught.value.kwargs["until"]
    assert 3590 < until - time.time() <= 3600
    with pytest.raises(TaskDeferred) as again:
        deferring.execute_complete({}, event={"state": "x" * 64}, until=until - 3000)
    assert again.value.kwargs["until"] == until - 3000
    assert again.value.timeout < timedelta(seconds=601)


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_a_deferred_wait_ends_at_its_timeout_whoever_notices_it(
    deferring: DataDriftSensor, soft_fail: bool, error: type[BaseException]
) -> None:
    deferring.soft_fail = soft_fail
    event = {"event": {"state": "x" * 64}, "until": time.time() - 1}
    with pytest.raises(error):
        deferring.resume_execution("execute_complete", event, {})
    with pytest.raises(error):
        deferring.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    deferring.timeout = -1
    with pytest.raises(error):
        deferring.execute({})


def test_a_query_cannot_be_watched_by_the_triggerer() -> None:
    with pytest.raises(InputError, match="watches files; got SqlQuery"):
        DataDriftSensor(task_id="wait", data=SqlQuery("SELECT 1", "db"), model_name="m", deferrable=True)


def test_relative_paths_are_made_absolute_because_the_triggerer_runs_elsewhere(
    deferring: DataDriftSensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deferring.data = [Path("a.csv"), "file:///data/b.csv"]
    with pytest.raises(TaskDeferred) as caught:
        deferring.execute({})
    assert caught.value.trigger.paths == [str(tmp_path / "a.csv"), "file:///data/b.csv"]
