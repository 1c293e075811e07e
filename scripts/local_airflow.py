"""A whole Airflow on this machine, with an MLflow server beside it: what ``make airflow`` runs.

Everything it keeps is under ``.airflow``; deleting that directory starts afresh. It listens on 127.0.0.1 only, stops
exactly the processes it started, and is for trying things out, never for production.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".airflow"
HOST = "127.0.0.1"
START_SECONDS = 180
STOP_SECONDS = 10


@dataclass(kw_only=True)
class Service:
    """A process with its children, its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    family: list[psutil.Process] = field(default_factory=list)

    def note_family(self) -> None:
        """Remember the processes below this one, because they are no longer below it once it is gone."""
        with suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self.process.pid)
            self.family = [leader, *leader.children(recursive=True)]


class ServiceError(RuntimeError):
    """A process ended that should not have."""


class Stop(Exception):  # noqa: N818 - not an error
    """Someone asked us to end."""


_signals: list[int] = []


def free_port(preferred: int) -> int:
    """Return `preferred`, or a free port when it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise RuntimeError(f"No free port at {HOST}.")


def environment(*, airflow_port: int, mlflow_port: int) -> dict[str, str]:
    """Return the environment of all services; nothing of another Airflow on this machine passes into it."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "MLFLOW_"))}
    address = f"http://{HOST}:{airflow_port}"
    return {
        **outside,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW_CONN_MLFLOW_DEFAULT": f"mlflow://{HOST}:{mlflow_port}",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(airflow_port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port(8794)),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port(8793)),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job runner starts a handful of processes of no use here, and had unauthenticated endpoints.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def mlflow_command(port: int) -> list[str]:
    """Return the command line of the MLflow server."""
    home = HOME / "mlflow"
    home.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")),
    ]


def start(name: str, command: Sequence[str], env: dict[str, str]) -> Service:
    """Start a process in a session of its own, so that Ctrl-C reaches it through us only."""
    log = HOME / "services" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=env, cwd=HOME, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return Service(name=name, process=process, log=log)


def check_alive(services: Sequence[Service]) -> None:
    """Raise when one has ended, with the end of what it wrote."""
    for service in services:
        if service.process.poll() is not None:
            tail = "\n".join(service.log.read_text(errors="replace").splitlines()[-20:])
            raise ServiceError(
                f"{service.name} ended with code {service.process.returncode}; {service.log} ends:\n{tail}"
            )


def wait_until_healthy(services: Sequence[Service], *, airflow_port: int, mlflow_port: int) -> None:
    """Return when all parts of Airflow, and MLflow, say that they are well."""
    waiting_for = ""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        check_alive(services)
        unwell = sorted(_unwell(airflow_port=airflow_port, mlflow_port=mlflow_port))
        if not unwell:
            return
        if waiting_for != ", ".join(unwell):
            waiting_for = ", ".join(unwell)
            say(f"waiting for {waiting_for}")
        pause()
    raise ServiceError(f"Not healthy after {START_SECONDS} s: {waiting_for}. Their output is in {HOME / 'services'}.")


def _unwell(*, airflow_port: int, mlflow_port: int) -> Iterator[str]:
    if _get(f"http://{HOST}:{mlflow_port}/health") is None:
        yield "MLflow"
    body = _get(f"http://{HOST}:{airflow_port}/api/v2/monitor/health")
    if body is None:
        yield "API server"
        return
    health = json.loads(body)
    for part in ("metadatabase", "scheduler", "triggerer", "dag_processor"):
        if (health.get(part) or {}).get("status") != "healthy":
            yield part.replace("_", " ")


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http:// address
            return bytes(answer.read())
    except OSError:
        return None


def stop(services: Sequence[Service]) -> None:
    """End the services and all they started, kindly first."""
    for service in services:
        service.note_family()
    for service in reversed(services):
        with suppress(ProcessLookupError):
            os.killpg(service.process.pid, signal.SIGTERM)
    family = [process for service in services for process in service.family]
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def listen_for_signals() -> None:
    """Make the signals that end programs end the next `pause`; nothing is cut short in the middle of a start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: _signals.append(_number))


def pause() -> None:
    """Let a second pass, unless someone asked us to stop."""
    time.sleep(1)
    if _signals:
        raise Stop


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(f"[airflow] {text}", flush=True)


def run() -> int:
    """Run until asked to stop, or until a part fails."""
    os.umask(0o077)  # the generated password and keys are nobody else's business
    HOME.mkdir(exist_ok=True)
    lock = (HOME / "lock").open("w")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"another one runs in {HOME}; stop it first")
        return 1
    airflow_port, mlflow_port = free_port(8080), free_port(5000)
    env = environment(airflow_port=airflow_port, mlflow_port=mlflow_port)
    airflow = (sys.executable, "-m", "airflow")
    services: list[Service] = []
    listen_for_signals()
    try:
        say(f"preparing the database in {HOME}")
        services.append(start("mlflow", mlflow_command(mlflow_port), env))
        migration = start("migrate", (*airflow, "db", "migrate"), env)
        services.append(migration)
        while migration.process.poll() is None:
            pause()
        if migration.process.returncode == 0:
            services.remove(migration)
        check_alive(services)
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            services.append(start(name, (*airflow, name), env))
        wait_until_healthy(services, airflow_port=airflow_port, mlflow_port=mlflow_port)
        print_addresses(airflow_port=airflow_port, mlflow_port=mlflow_port)
        while True:
            check_alive(services)
            pause()
    except Stop:
        return 0
    except ServiceError as error:
        say(str(error))
        return 1
    finally:
        say("stopping")
        stop(services)
        say("stopped")


def print_addresses(*, airflow_port: int, mlflow_port: int) -> None:
    """Tell where to look; the password is the one Airflow made for this directory."""
    passwords = json.loads((HOME / "simple_auth_manager_passwords.json.generated").read_text())
    say(f"Airflow  http://{HOST}:{airflow_port}   user admin, password {passwords['admin']}")
    say(f"MLflow   http://{HOST}:{mlflow_port}   no login")
    say(f"DAGs     {REPOSITORY / 'dags'}; output of the services in {HOME / 'services'}")
    say("ready; Ctrl-C stops everything")


if __name__ == "__main__":
    sys.exit(run())
