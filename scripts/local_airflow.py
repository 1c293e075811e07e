"""A whole Airflow on this machine, with an MLflow server beside it: what ``make airflow`` runs.

Everything it keeps is under ``.airflow``; deleting that directory starts afresh. It listens on 127.0.0.1 only, stops
exactly the processes it started, and is for trying things out, never for production.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scripts.airflow_services import PARTS, admin_password, airflow_environment, airflow_part, migration
from scripts.servers import mlflow_server
from scripts.services import HOST, START_SECONDS, Service, ServiceError, free_port, stop

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".airflow"


class Stop(Exception):  # noqa: N818 - not an error
    """Someone asked us to end."""


_signals: list[int] = []


def wait_until_healthy(services: Sequence[Service]) -> None:
    """Return when all say that they are well."""
    waiting_for = ""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        unwell = ", ".join(service.name for service in services if not _is_well(service))
        if not unwell:
            return
        if waiting_for != unwell:
            waiting_for = unwell
            say(f"waiting for {waiting_for}")
        pause()
    raise ServiceError(f"Not healthy after {START_SECONDS} s: {waiting_for}. Their output is in {HOME / 'services'}.")


def _is_well(service: Service) -> bool:
    service.check_alive()
    with suppress(OSError):
        return service.healthy()
    return False


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
    settings = {
        "AIRFLOW_CONN_MLFLOW_DEFAULT": f"mlflow://{HOST}:{mlflow_port}",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }
    env = airflow_environment(HOME, port=airflow_port, dags=REPOSITORY / "dags", settings=settings)
    services: list[Service] = []
    listen_for_signals()
    try:
        say(f"preparing the database in {HOME}")
        services += [mlflow_server(HOME / "mlflow", port=mlflow_port, env=env).start(), migration(HOME, env).start()]
        while not services[-1].has_finished():
            pause()
        services.pop()
        for name in PARTS:
            services.append(airflow_part(name, HOME, env).start())
        wait_until_healthy(services)
        print_addresses(airflow_port=airflow_port, mlflow_port=mlflow_port)
        while True:
            for service in services:
                service.check_alive()
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
    say(f"Airflow  http://{HOST}:{airflow_port}   user admin, password {admin_password(HOME)}")
    say(f"MLflow   http://{HOST}:{mlflow_port}   no login")
    say(f"DAGs     {REPOSITORY / 'dags'}; output of the services in {HOME / 'services'}")
    say("ready; Ctrl-C stops everything")


if __name__ == "__main__":
    sys.exit(run())
