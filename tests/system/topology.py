"""Airflow and all that it works with, as processes of their own: what the system tests run DAGs on.

Two forms. `light` is what one person has: SQLite, the LocalExecutor, an MLflow server with its files in a directory.
`full` is what ``docker-compose.yaml`` describes: PostgreSQL for Airflow and for MLflow, Redis, two Celery workers,
artifacts in an S3-compatible store. Both take the same DAG files; connections and Params differ. Everything is in a
temporary directory, listens on free ports of 127.0.0.1, and is gone afterwards.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.registry.session import TrackingServer
from scripts import servers
from scripts.airflow_services import (
    PARTS,
    admin_password,
    airflow_environment,
    airflow_part,
    celery_worker,
    migration,
    without_foreign,
)
from scripts.services import HOST, START_SECONDS, Service, answers, free_port, stop
from tests.faults.proxy import FaultyProxy, faulty_proxy
from tests.system import compose
from tests.system.airflow_api import AirflowApi

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BUCKET = "mlops"
STORES = ("postgres", "redis", "s3")
VARIABLES = tuple(
    line.partition("=")[0]
    for line in (REPOSITORY / ".env.example").read_text().splitlines()
    if "=" in line and line[0] != "#"
)
WORKERS = ("worker-1", "worker-2")
SETTINGS = {
    # Runs are started by the tests alone, and what is lost is noticed in seconds instead of minutes.
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    # Boosted trees on threads that wait for each other cost many times the work when the machine is busy.
    "OMP_NUM_THREADS": "1",
}


@dataclass(kw_only=True)
class Topology:
    """Services that run, by name, and ways to reach them."""

    home: Path
    env: dict[str, str]
    api: AirflowApi
    mlflow: TrackingServer
    data: str
    services: dict[str, Service] = field(default_factory=dict)
    s3_proxy: FaultyProxy | None = None
    variables: dict[str, str] = field(default_factory=dict)

    @cached_property
    def s3(self) -> S3Client:
        """A client of the store, past the proxy."""
        import boto3

        assert self.s3_proxy is not None, "this form has no S3"
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.s3_proxy.target,
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )
        return client

    @contextmanager
    def restarting(self) -> Iterator[None]:
        """Start again what ends by itself meanwhile, as ``restart: unless-stopped`` does."""
        done = threading.Event()
        parts = [service for name, service in self.services.items() if name not in (*STORES, "mlflow")]

        def watch() -> None:
            while not done.wait(1):
                for service in parts:
                    if service.process is not None and service.process.poll() is not None:
                        service.start()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def log_of(self, name: str) -> str:
        """Return all that a service wrote."""
        return self.services[name].log.read_text(errors="replace")

    def put(self, path: Path, name: str) -> str:
        """Put a file where this deployment keeps data, and return its address."""
        if self.s3_proxy is None:
            target = Path(self.data) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            return str(target)
        self.s3.upload_file(str(path), BUCKET, name)
        return f"s3://{BUCKET}/{name}"


@contextmanager
def light(dags: Path = REPOSITORY / "dags", **settings: str) -> Iterator[Topology]:
    """Yield an Airflow on SQLite with the LocalExecutor, and an MLflow server."""
    with _home() as home, _stopped() as started:
        mlflow_port = free_port()
        env = airflow_environment(
            home / "airflow",
            port=free_port(),
            dags=dags,
            settings={**SETTINGS, "AIRFLOW_CONN_MLFLOW_DEFAULT": f"mlflow://{HOST}:{mlflow_port}", **settings},
        )
        started(servers.mlflow_server(home / "mlflow", port=mlflow_port, env=env))
        yield _with_airflow(home, env, started, mlflow_port=mlflow_port, data=str(home / "data"))


@contextmanager
def full(dags: Path = REPOSITORY / "dags", **settings: str) -> Iterator[Topology]:
    """Yield the topology of ``docker-compose.yaml``: its environment and commands, at other addresses."""
    with ExitStack() as stack:
        home = stack.enter_context(_home())
        # PostgreSQL's own user must reach its files, and only they are open to it.
        database_home = Path(tempfile.mkdtemp(prefix="mlops-system-postgres-"))
        stack.callback(shutil.rmtree, database_home, ignore_errors=True)
        started = stack.enter_context(_stopped())
        ports = {name: free_port() for name in ("airflow", "mlflow", "postgres", "redis", "s3")}
        variables = {name: secrets.token_urlsafe(24) for name in VARIABLES}
        variables["AIRFLOW_FERNET_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        started(servers.postgres(database_home, port=ports["postgres"]))
        started(servers.redis(home / "redis", port=ports["redis"], password=variables["REDIS_PASSWORD"]))
        started(servers.s3_store(home / "s3", port=ports["s3"]))
        proxy = stack.enter_context(faulty_proxy(f"http://{HOST}:{ports['s3']}"))
        for service in started.services.values():
            service.wait_until_healthy()
        _create_databases(ports["postgres"], variables)
        places = {
            "@postgres/": f"@{HOST}:{ports['postgres']}/",
            "redis:6379": f"{HOST}:{ports['redis']}",
            "http://s3:7070": proxy.url,
            "mlflow:5000": f"{HOST}:{ports['mlflow']}",
            "airflow-api-server:8080": f"{HOST}:{ports['airflow']}",
            "localhost:8080": f"{HOST}:{ports['airflow']}",
            "/opt/airflow/": f"{home}/airflow/",
            "--host=0.0.0.0": f"--host={HOST}",
            "--port=5000": f"--port={ports['mlflow']}",
        }
        described = compose.resolve(compose.load()["services"], variables=variables, places=places)
        env = airflow_environment(
            home / "airflow",
            port=ports["airflow"],
            dags=dags,
            settings={
                **described["airflow-init"]["environment"],
                **SETTINGS,
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
                **settings,
            },
        )
        started(
            Service(
                name="mlflow",
                command=[sys.executable, "-m", *described["mlflow"]["command"]],
                env={**without_foreign(), **described["mlflow"]["environment"]},
                cwd=home,
                log=home / "mlflow.log",
                healthy=lambda: answers(f"http://{HOST}:{ports['mlflow']}/health"),
            )
        )
        topology = _with_airflow(
            home, env, started, mlflow_port=ports["mlflow"], data=f"s3://{BUCKET}", workers=WORKERS, proxy=proxy
        )
        topology.variables = variables
        yield topology


def _with_airflow(
    home: Path,
    env: dict[str, str],
    started: _Started,
    *,
    mlflow_port: int,
    data: str,
    workers: tuple[str, ...] = (),
    proxy: FaultyProxy | None = None,
) -> Topology:
    airflow_home = home / "airflow"
    tables = started(migration(airflow_home, env) if proxy is None else initialization(airflow_home, env))
    wait_until(tables.has_finished, "Airflow's tables are made")
    del started.services[tables.name]
    for name in PARTS:
        started(airflow_part(name, airflow_home, env))
    for name in workers:
        started(celery_worker(name, airflow_home, env, slots=2))
    for service in list(started.services.values()):
        service.wait_until_healthy()
    return Topology(
        home=home,
        env=env,
        api=AirflowApi(
            url=env["AIRFLOW__API__BASE_URL"],
            password=env.get("AIRFLOW_ADMIN_PASSWORD") or admin_password(airflow_home),
        ),
        mlflow=TrackingServer(uri=f"http://{HOST}:{mlflow_port}"),
        data=data,
        services=started.services,
        s3_proxy=proxy,
    )


def initialization(home: Path, env: dict[str, str]) -> Service:
    """Return what the service ``airflow-init`` runs, and ends."""
    script = REPOSITORY / "scripts" / "compose" / "initialize.py"
    return Service(name="init", command=[sys.executable, str(script)], env=env, cwd=home, log=home / "init.log")


class _Started:
    """Starts services and remembers them."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}

    def __call__(self, service: Service) -> Service:
        self.services[service.name] = service
        return service.start()


@contextmanager
def _stopped() -> Iterator[_Started]:
    """Yield what starts services; all of them are stopped afterwards, in Ctrl-C's time too."""
    started = _Started()
    try:
        yield started
    finally:
        with _no_interruption():
            stop([service for name, service in started.services.items() if name not in STORES])
            stop([service for name, service in started.services.items() if name in STORES])


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="mlops-system-"))
    try:
        (home / "airflow").mkdir()
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _no_interruption() -> Iterator[None]:
    """Let nobody who presses Ctrl-C a second time leave half of it running."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _create_databases(port: int, variables: dict[str, str]) -> None:
    where = {"PGHOST": HOST, "PGPORT": str(port), "POSTGRES_USER": "mlops"}
    script = REPOSITORY / "scripts" / "compose" / "create_databases.sh"
    subprocess.run([script], env={**os.environ, **variables, **where}, check=True)


def wait_until(condition: Callable[[], Any], what: str, *, seconds: float = START_SECONDS) -> Any:
    """Return what `condition` returns when it is true; fails when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"Not within {seconds:.0f} s: {what}")
