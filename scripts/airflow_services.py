"""A whole Airflow as processes on 127.0.0.1: API server, scheduler, DAG processor, triggerer and Celery workers.

What is decided here is how the parts find each other and nobody else; whatever is specific to a deployment (executor,
database, connections) comes in with the settings.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from scripts.services import HOST, Service, free_port

AIRFLOW = (sys.executable, "-m", "airflow")
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def without_foreign() -> dict[str, str]:
    """Return the environment without what is meant for another Airflow, MLflow or store."""
    foreign = ("AIRFLOW_", "MLFLOW_", "AWS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def airflow_environment(home: Path, *, port: int, dags: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of all parts; nothing of another Airflow on this machine passes into it."""
    address = f"http://{HOST}:{port}"
    return {
        **without_foreign(),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port(8794)),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port(8793)),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **settings,
    }


def migration(home: Path, env: Mapping[str, str]) -> Service:
    """Return the process that makes Airflow's tables, and ends."""
    return _service("migrate", ("db", "migrate"), home, env)


def airflow_part(name: str, home: Path, env: Mapping[str, str]) -> Service:
    """Return one of `PARTS`; it is healthy when the API server says so."""
    service = _service(name, (name,), home, env)
    port = int(env["AIRFLOW__API__PORT"])
    part = "metadatabase" if name == "api-server" else name.replace("-", "_")
    service.healthy = lambda: is_healthy(port, part)
    return service


def celery_worker(name: str, home: Path, env: Mapping[str, str], *, slots: int) -> Service:
    """Return a Celery worker for `slots` tasks at a time; it is healthy when it says that it is ready."""
    command = ("celery", "worker", "--celery-hostname", name, "--concurrency", str(slots), "--skip-serve-logs")
    service = _service(name, (*command, "--pid", str(home / f"{name}.pid")), home, env)
    service.healthy = lambda: f"{name} ready" in service.log.read_text(errors="replace")
    return service


def _service(name: str, command: tuple[str, ...], home: Path, env: Mapping[str, str]) -> Service:
    return Service(name=name, command=[*AIRFLOW, *command], env=env, cwd=home, log=home / "services" / f"{name}.log")


def is_healthy(port: int, part: str) -> bool:
    """Return what the API server at `port` says of a part."""
    url = f"http://{HOST}:{port}/api/v2/monitor/health"
    with urllib.request.urlopen(url, timeout=5) as answer:
        health = json.loads(answer.read())
    return (health.get(part) or {}).get("status") == "healthy"


def admin_password(home: Path) -> str:
    """Return the password that Airflow made for the user ``admin`` of this home."""
    return str(json.loads((home / "simple_auth_manager_passwords.json.generated").read_text())["admin"])
