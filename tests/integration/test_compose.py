"""``docker-compose.yaml``, the Dockerfile and ``.env.example``, as far as can be seen without a Docker engine.

``make system`` runs what they describe, with the environment and the commands of this very file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.hooks.mlflow import MlflowHook
from scripts.airflow_services import PARTS
from scripts.compose import initialize
from tests.system import compose

REPOSITORY = compose.FILE.parent
EXAMPLE = (REPOSITORY / ".env.example").read_text()
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
CONSTRAINTS = dict(
    line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line
)
SERVICES: dict[str, Any] = compose.load()["services"]
SECRET = re.compile(r"password|secret|_key|token", re.IGNORECASE)


def test_the_topology_is_complete() -> None:
    airflow = {f"airflow-{part}" for part in (*PARTS, "worker", "init")}
    assert set(SERVICES) == airflow | {"postgres", "redis", "s3", "mlflow"}
    assert {SERVICES[f"airflow-{part}"]["command"] for part in PARTS} == set(PARTS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_and_a_health_check(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert image
    assert re.search(r"\d+\.\d+", tag), tag
    # What runs once and ends is waited for by its exit code.
    assert SERVICES[name]["healthcheck"].get("test") or name == "airflow-init"


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_is_waited_for_until_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        ends = other == "airflow-init"
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_the_database_is_healthy_only_after_its_scripts_have_run() -> None:
    # While they run, the image's server listens on its socket and on no port.
    kind, *command = SERVICES["postgres"]["healthcheck"]["test"]
    assert (kind, command[0]) == ("CMD", "pg_isready")
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--host"] == "127.0.0.1"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_host_only(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_no_secret_is_in_the_file_and_none_has_a_default() -> None:
    text = compose.FILE.read_text()
    assert len(re.findall(r"\$\{", text)) == len(compose.VARIABLE.findall(text))
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key) and not key.endswith("_FILE"):
                assert compose.VARIABLE.fullmatch(str(value)), f"{name}: {key}"
        for login in re.findall(r"://\w*:([^@/]+)@", str(service)):
            assert compose.VARIABLE.fullmatch(login), f"{name}: {login}"


def test_the_example_names_each_variable_and_gives_none_a_value() -> None:
    named = re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE)
    assert {name for name, _ in named} == set(compose.VARIABLE.findall(compose.FILE.read_text()))
    assert not any(value for _, value in named)


def test_the_image_is_of_the_tested_airflow_and_its_packages_are_in_the_tested_set() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    airflow, python = re.search(
        r"^FROM apache/airflow:slim-([\d.]+)-python3\.(\d+)$", DOCKERFILE, re.MULTILINE
    ).groups()
    assert airflow == CONSTRAINTS["apache-airflow"]
    assert f"Programming Language :: Python :: 3.{python}" in project["classifiers"]
    own = {name for name, service in SERVICES.items() if service["image"] == f"airflow-mlops-provider:{airflow}"}
    assert own == {name for name in SERVICES if name.startswith("airflow-")} | {"mlflow"}
    # Two builders of one tag get into each other's way, and the others must not look for it in a registry.
    assert [name for name in own if "build" in SERVICES[name]] == ["airflow-init"]
    assert {SERVICES[name].get("pull_policy") for name in own - {"airflow-init"}} == {"never"}
    installed = re.findall(r"^      ([a-z][\w-]+) \\$", DOCKERFILE, re.MULTILINE)
    assert {"apache-airflow", "apache-airflow-providers-celery"} <= set(installed) <= set(CONSTRAINTS)
    (extra,) = re.findall(r'"/opt/provider\[(\w+)\]"', DOCKERFILE)
    assert extra in project["optional-dependencies"]


def test_files_that_are_copied_or_mounted_exist() -> None:
    copied = re.findall(r"^COPY --chown=airflow:0 (.+) \S+$", DOCKERFILE, re.MULTILINE)
    mounted = [path for service in SERVICES.values() for path in service.get("volumes", ()) if path.startswith(".")]
    paths = [*" ".join(copied).split(), *(path.partition(":")[0] for path in mounted)]
    assert len(set(paths)) == 9
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


def test_a_worker_that_is_stopped_finishes_the_task_in_hand() -> None:
    # Airflow's image sends a signal to the whole group of processes, and Celery's children die of it.
    worker = SERVICES["airflow-worker"]
    assert (worker["environment"]["DUMB_INIT_SETSID"], worker["stop_grace_period"]) == ("0", "2m")


def test_links_to_mlflow_lead_where_a_browser_on_this_host_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = SERVICES["airflow-worker"]["environment"]
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", worker["AIRFLOW_CONN_MLFLOW_DEFAULT"])
    server = MlflowHook().get_server()
    assert (server.uri, server.ui_base) == ("http://mlflow:5000", "http://localhost:5000")
    assert "127.0.0.1:5000:5000" in SERVICES["mlflow"]["ports"]


def test_example_dags_keep_files_where_all_workers_find_them() -> None:
    root = SERVICES["airflow-worker"]["environment"]["MLOPS_DATA_ROOT"]
    assert root == f"s3://{initialize.BUCKET}"
    for name in ("churn_backtest", "churn_monitoring", "churn_scoring"):
        told = subprocess.run(
            [sys.executable, "-c", f"from dags.{name} import dag; print(dag.params['folder'])"],
            env={**os.environ, "MLOPS_DATA_ROOT": root, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip().startswith(f"{root}/churn_")


def test_docker_compose_takes_the_file_and_asks_for_what_is_missing(tmp_path: Path) -> None:
    plugin = ["docker", "compose"]
    found = shutil.which("docker") and subprocess.run([*plugin, "version"], capture_output=True, check=False)
    program = plugin if found and found.returncode == 0 else [shutil.which("docker-compose")]
    if program == [None]:
        pytest.skip("docker compose is not installed: apt-get install docker-compose")
    filled = tmp_path / "filled"
    filled.write_text(re.sub(r"=$", "=x", EXAMPLE, flags=re.MULTILINE))
    unfilled = tmp_path / "unfilled"
    unfilled.write_text(filled.read_text().replace("REDIS_PASSWORD=x", "REDIS_PASSWORD="))
    outcomes = [
        subprocess.run(
            [*program, "--file", compose.FILE, "--env-file", file, "config", "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
        for file in (filled, unfilled)
    ]
    assert outcomes[0].returncode == 0, outcomes[0].stderr
    assert outcomes[1].returncode != 0
    assert "see .env.example" in outcomes[1].stderr
