"""A real scheduler, triggerer and MLflow server on SQLite: storms of alarms, hundreds of sensors on one triggerer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from airflow_mlops_provider.registry.ledger import read_history
from airflow_mlops_provider.registry.session import open_registry
from tests.system import topology
from tests.system.dags.storm import ALARMS
from tests.system.dags.waiting import SENSORS
from tests.system.topology import REPOSITORY, Topology, wait_until
from tests.watched_model import WatchedModel

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def light() -> Iterator[Topology]:
    with topology.light(REPOSITORY / "tests" / "system" / "dags", PYTHONPATH=str(REPOSITORY)) as running:
        running.api.wait_for_dags("storm", "storm_training", "waiting")
        yield running


def states(light: Topology, dag_id: str, run_id: str) -> Counter[str]:
    return Counter(str(task["state"]) for task in light.api.tasks(dag_id, run_id))


def has_a_quiet_minute(light: Topology) -> bool:
    """Return whether the triggerer's loop was not blocked for a minute: one that triggers block never has one.

    Airflow itself blocks it while it starts hundreds of them, and so does a machine that is busy with other things.
    """
    for _ in range(5):
        before = len(light.log_of("triggerer"))
        time.sleep(60)
        if "was blocked" not in light.log_of("triggerer")[before:]:
            return True
    return False


def test_hundreds_of_sensors_keep_the_triggerer_unblocked_and_its_death_loses_none(light: Topology) -> None:
    light.api.trigger("waiting", "all", {})
    wait_until(lambda: states(light, "waiting", "all")["deferred"] == SENSORS + 1, "all sensors wait", seconds=400)
    wait_until(lambda: f"{SENSORS + 1} triggers currently running" in light.log_of("triggerer"), "all triggers run")
    assert has_a_quiet_minute(light)
    light.services["triggerer"].kill()
    with open_registry(light.mlflow) as registry:
        registry.client.create_registered_model("waited")
        registry.client.create_model_version("waited", source="s3://models/none")
    light.services["triggerer"].restart()
    outcome = light.api.wait("waiting", "all")
    assert Counter(outcome.states.values()) == {"success": SENSORS + 1}
    assert set(outcome.tries.values()) == {1}


def test_a_hundred_alarms_at_once_start_one_training(light: Topology) -> None:
    with open_registry(light.mlflow) as registry:
        model = WatchedModel(registry, "storm")
        of = model.promote()
        model.check("performance", "2026-03-02T00:00:00+00:00", "drop", of=of, rows=1000)
    light.api.trigger("storm", "all", {})
    outcome = light.api.wait("storm", "all")
    assert len(light.api.tasks("storm", "all")) == ALARMS
    assert set(outcome.states.values()) == {"success"}
    (run,) = light.api.runs("storm_training")
    assert light.api.wait("storm_training", run["dag_run_id"]).state == "success"
    with open_registry(light.mlflow) as registry:
        kinds = Counter(one.kind for one in read_history(registry, "storm").entries)
    assert kinds["retrain_requested"] == 1
