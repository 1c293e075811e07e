"""The loop on the topology of ``docker-compose.yaml``, run by its own scheduler and workers, and what breaks meanwhile.

The tests are one story and run in order: the model is trained, the world changes, the monitoring notices and has
another one trained, and is calm again. Data, scores and artifacts are on S3; the DAG files are the shipped ones.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_mlops_provider.registry.ledger import read_history
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHAMPION, by_alias
from scripts.airflow_services import PARTS
from scripts.services import stop
from tests.changed_customers import write_changed
from tests.system import compose
from tests.system.airflow_api import ENDED, RunError
from tests.system.topology import BUCKET, WORKERS, Topology, wait_until

pytestmark = pytest.mark.system
LINEAR = ["sklearn.linear_model.LogisticRegression"]


@pytest.fixture(scope="module")
def world(full: Topology, telco: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the runs are given: the addresses on S3."""
    changed = write_changed(telco, tmp_path_factory.mktemp("world") / "changed.csv")
    full.api.wait_for_dags("churn_training", "churn_monitoring")
    return {
        "training": {"data": full.put(telco, "raw/customers.csv"), "candidates": LINEAR},
        "monitoring": {
            "source": full.put(changed, "raw/changed.csv"),
            "folder": f"{full.data}/monitoring",
            "customers": 2000,
            "fibre_weight": 3,
            "min_roc_auc": 0.7,
        },
    }


def begin_day(full: Topology, world: dict[str, Any], number: int) -> str:
    conf = {**world["monitoring"], "day": f"2026-03-{number:02}"}
    return full.api.trigger("churn_monitoring", f"day-{number}", conf)


def results(full: Topology, run_id: str) -> dict[str, Any]:
    """Return the results of a day's tasks, when it has ended well."""
    full.api.wait("churn_monitoring", run_id)
    tasks = ("score", "detect_drift", "performance", "estimate", "retrain")
    return {task: full.api.xcom("churn_monitoring", run_id, task) for task in tasks}


def kill_workers(full: Topology) -> None:
    for name in WORKERS:
        full.services[name].kill()
    for name in WORKERS:
        full.services[name].start()


def champion(full: Topology) -> int:
    with open_registry(full.mlflow) as registry:
        found = by_alias(registry, "churn", CHAMPION)
    return 0 if found is None else int(found.version)


def entries(full: Topology, kind: str) -> list[Any]:
    with open_registry(full.mlflow) as registry:
        return [one for one in read_history(registry, "churn").entries if one.kind == kind]


def versions(full: Topology) -> list[int]:
    with open_registry(full.mlflow) as registry:
        return sorted(int(one.version) for one in registry.client.search_model_versions("name='churn'"))


def is_up(full: Topology) -> bool:
    with suppress(requests.RequestException, RunError):
        full.api.runs("churn_monitoring")
        return True
    return False


def keys(full: Topology, prefix: str) -> list[str]:
    pages = full.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def test_workers_killed_in_the_middle_of_training_cost_time_alone(full: Topology, world: dict[str, Any]) -> None:
    full.api.trigger("churn_training", "first", world["training"])
    full.api.wait_for_task("churn_training", "first", "train", "running")
    time.sleep(4)
    kill_workers(full)
    outcome = full.api.wait("churn_training", "first")
    assert set(outcome.states.values()) == {"success"}
    assert outcome.tries["train"] == 2
    assert (versions(full), champion(full)) == ([1], 1)
    assert len(entries(full, "promote")) == 1
    assert any(key.endswith("model.skops") for key in keys(full, "mlflow/"))


def test_a_changed_world_is_noticed_also_when_workers_are_killed_while_scoring(
    full: Topology, world: dict[str, Any]
) -> None:
    run_id = begin_day(full, world, 2)
    full.api.wait_for_task("churn_monitoring", run_id, "score", "running")
    time.sleep(3)
    kill_workers(full)
    found = results(full, run_id)
    assert ENDED[-1].tries["score"] == 2
    assert found["score"]["rows"] == 2000
    assert found["detect_drift"]["verdict"] == "drift"
    assert found["performance"]["verdict"] == "insufficient_data"
    # The estimate may see it already; a training waits for labels.
    assert found["retrain"]["retrain"] is False
    assert keys(full, "monitoring/scores/") == ["monitoring/scores/2026-03-02.parquet"]


def test_labels_show_the_drop_also_when_postgresql_is_restarted_meanwhile(
    full: Topology, world: dict[str, Any]
) -> None:
    run_id = begin_day(full, world, 3)
    full.api.wait_for_task("churn_monitoring", run_id, "score", "running")
    with full.restarting():
        stop([full.services["postgres"]])
        time.sleep(5)
        full.services["postgres"].restart()
        wait_until(lambda: is_up(full), "Airflow is there again")
        found = results(full, run_id)
    assert found["performance"]["verdict"] == "drop"
    assert found["performance"]["labelled_rows"] == 2000
    assert found["retrain"]["retrain"] is True
    assert len(entries(full, "retrain_requested")) == 1


def test_the_training_it_started_is_promoted_also_when_mlflow_is_down_for_two_minutes(full: Topology) -> None:
    (run_id,) = (one["dag_run_id"] for one in full.api.runs("churn_training") if one["dag_run_id"] != "first")
    mlflow = full.services["mlflow"]
    mlflow.kill()
    time.sleep(120)
    mlflow.restart()
    outcome = full.api.wait("churn_training", run_id)
    assert set(outcome.states.values()) == {"success"}
    assert sum(full.api.xcom("churn_training", run_id, "train")["rows"].values()) == 2000
    assert (versions(full), champion(full)) == ([1, 2], 2)
    assert len(entries(full, "promote")) == 2


def test_the_monitoring_is_calm_with_the_new_reference_also_when_s3_fails_for_a_while(
    full: Topology, world: dict[str, Any]
) -> None:
    first, second = begin_day(full, world, 4), begin_day(full, world, 5)
    full.api.wait_for_task("churn_monitoring", first, "score", "running")
    assert full.s3_proxy is not None
    for mode in ("500 before", "503 before", "503 after"):
        fault = full.s3_proxy.fail(mode)
        time.sleep(10)
        full.s3_proxy.lift()
        assert fault.mode == mode
    found = [results(full, run_id) for run_id in (first, second)]
    assert [one["detect_drift"]["verdict"] for one in found] == ["no_drift", "no_drift"]
    assert found[1]["performance"]["verdict"] == "no_drop"
    assert [one["retrain"]["retrain"] for one in found] == [False, False]
    assert found[1]["retrain"]["reasons"] == []


def test_nothing_was_doubled_or_lost(full: Topology) -> None:
    assert (versions(full), champion(full)) == ([1, 2], 2)
    assert [len(entries(full, kind)) for kind in ("promote", "retrain_requested")] == [2, 1]
    assert len(full.api.runs("churn_training")) == 2
    assert keys(full, "monitoring/scores/") == [f"monitoring/scores/2026-03-{day:02}.parquet" for day in (2, 3, 4, 5)]


def test_health_checks_of_the_compose_file_pass_here(full: Topology) -> None:
    ports = {
        "localhost:8080": full.env["AIRFLOW__API__BASE_URL"].removeprefix("http://"),
        "localhost:8974": f"127.0.0.1:{full.env['AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT']}",
        '"celery@$$HOSTNAME"': f"celery@{WORKERS[0]}",
        "$$HOSTNAME": os.uname().nodename,
    }
    described = compose.resolve(compose.load()["services"], variables=full.variables, places=ports)
    path = f"{Path(full.services['scheduler'].command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    for part in (*PARTS, "worker"):
        kind, *command = described[f"airflow-{part}"]["healthcheck"]["test"]
        done = subprocess.run(
            ["sh", "-c", *command] if kind == "CMD-SHELL" else command,
            env={**full.env, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{part}: {command}: {done.stdout}{done.stderr}"
