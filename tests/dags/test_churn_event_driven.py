from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.hooks.mlflow import MlflowHook, embedded_server
from airflow_mlops_provider.registry.versions import CHAMPION, by_alias
from tests.airflow_versions import DagSerialization
from tests.triggers import running, until

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_event_driven.py"


@pytest.fixture(scope="module")
def module(airflow_home: Path) -> Any:
    spec = importlib.util.spec_from_file_location("churn_event_driven", DAG_FILE)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def retrained(module: Any, run_dag: Callable[..., Any]) -> Any:
    return run_dag(module.retrain_on_drift)


def test_drift_trains_evaluates_and_promotes(retrained: Any) -> None:
    assert retrained.errors == {}
    assert retrained.states == dict.fromkeys(("train", "evaluate", "promote"), "success")
    with MlflowHook().open() as registry:
        assert by_alias(registry, "churn", CHAMPION).version == retrained.xcoms["promote"]["version"]


def test_a_champion_that_moved_is_tried_and_its_history_told(
    module: Any, run_dag: Callable[..., Any], retrained: Any
) -> None:
    outcome = run_dag(module.champion_moved)
    assert outcome.errors == {}
    assert outcome.states == dict.fromkeys(("what_moved", "smoke_test", "history"), "success")
    assert outcome.xcoms["smoke_test"]["version"] == retrained.xcoms["promote"]["version"]
    assert outcome.xcoms["history"]["champion"] == retrained.xcoms["promote"]["version"]


def test_the_schedules_are_the_drift_asset_and_the_watched_one(module: Any) -> None:
    drift = DagSerialization.to_dict(module.retrain_on_drift)["dag"]["timetable"]
    assert "mlflow://models/churn/drift" in str(drift)
    moved = str(DagSerialization.to_dict(module.champion_moved)["dag"]["timetable"])
    assert "churn_champion_moved" in moved
    assert "triggers.model_event.ModelEventTrigger" in moved
    # Else a promotion would start it twice: by the event of its task, and by the watcher's.
    assert "mlflow://models/churn@champion" not in moved


def test_its_watcher_notices_a_champion_that_a_person_names(
    module: Any, retrained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def server(hook: Any) -> Any:
        return embedded_server()

    # Without a supervisor nobody can say that a connection is not defined.
    monkeypatch.setattr("airflow_mlops_provider.hooks.mlflow.MlflowHook.aget_server", server)
    (watcher,) = module.CHAMPION_MOVED.watchers
    trigger = watcher.trigger
    monkeypatch.setattr(trigger, "poll_interval_seconds", 0.1)

    def name_another() -> None:
        with MlflowHook().open() as registry:
            version = registry.client.create_model_version("churn", source="s3://models/none").version
            registry.client.set_registered_model_alias("churn", CHAMPION, version)

    async def story() -> list[Any]:
        async with running(trigger) as (moves,):
            await asyncio.sleep(1)
            assert moves == []
            await asyncio.to_thread(name_another)
            await until(lambda: moves)
            return list(moves)

    (move,) = asyncio.run(story())
    assert (move["alias"], move["previous_version"]) == (CHAMPION, retrained.xcoms["promote"]["version"])


def test_nothing_needs_a_logical_date(module: Any) -> None:
    text = DAG_FILE.read_text()
    assert "{{ ds" not in text
    assert "logical_date" not in text
    for dag in (module.retrain_on_drift, module.champion_moved):
        assert all(task.retries == 2 for task in dag.tasks)
