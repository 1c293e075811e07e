"""Real servers for the tests: MLflow, PostgreSQL and S3 (moto), each in processes of its own on a free port."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 120
DEBIAN = "apt-get install postgresql"


class ServerError(RuntimeError):
    """A server did not start; says what it wrote."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(home: Path, *, backend: str = "", workers: int = 1) -> Iterator[str]:
    """Yield the address of an ``mlflow server`` that keeps everything under `home`, or its records in `backend`."""
    url = f"http://127.0.0.1:{free_port()}"
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]),
                *("--workers", str(workers), "--backend-store-uri", backend or f"sqlite:///{home}/mlflow.db"),
                *("--artifacts-destination", str(home / "artifacts")),
            ],
            cwd=home,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(f"{url}/health", process, log)
        yield url
    finally:
        _stop(process)


@contextmanager
def s3_server(home: Path) -> Iterator[str]:
    """Yield the address of an S3 server without buckets, which takes any credentials and forgets all at its end."""
    port = free_port()
    log = home / "s3.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(f"{url}/moto-api/", process, log)
        yield url
    finally:
        _stop(process)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise ServerError(f"{url} did not answer:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The group is the process's own session, so nothing else can be in it.
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def missing_postgres() -> str | None:
    """Return what is missing to run PostgreSQL here, or None."""
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "the package psycopg2-binary is not installed: pip install psycopg2-binary"
    return None if _postgres_bin() else f"PostgreSQL's initdb and postgres are not installed: {DEBIAN}"


def _postgres_bin() -> Path | None:
    found = [shutil.which("initdb"), *sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)]
    for one in found:
        if one and Path(one).resolve().with_name("postgres").exists():
            return Path(one).resolve().parent
    return None


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the SQLAlchemy address of an empty database of a PostgreSQL server of its own."""
    binaries = _postgres_bin()
    if binaries is None:
        raise ServerError(str(missing_postgres()))
    # PostgreSQL refuses to run as root; Debian's package comes with a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="mlops-postgres-"))
    port = free_port()
    process = None
    try:
        if user:
            shutil.chown(home, user)
        _run(
            [str(binaries / "initdb"), "-D", str(home / "data"), "-U", "mlops", "--auth=trust", "-E", "UTF8", "-N"],
            user=user,
            cwd=home,
        )
        log = home / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(str(binaries / "postgres"), "-D", str(home / "data"), "-p", str(port), "-h", "127.0.0.1"),
                    *("-k", str(home), "-c", "fsync=off", "-c", "max_connections=300"),
                ],
                user=user,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _wait_until_it_takes_connections(port, process, log)
        yield f"postgresql+psycopg2://mlops@127.0.0.1:{port}/postgres"
    finally:
        if process is not None:
            _stop_postgres(process)
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str], *, user: str | None, cwd: Path) -> None:
    done = subprocess.run(command, user=user, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _wait_until_it_takes_connections(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg2.OperationalError):
            psycopg2.connect(host="127.0.0.1", port=port, user="mlops", dbname="postgres").close()
            return
        time.sleep(0.1)
    raise ServerError(f"postgres did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _stop_postgres(process: subprocess.Popen[bytes]) -> None:
    # SIGINT is PostgreSQL's fast shutdown; its children end with it.
    for kind in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            process.send_signal(kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
            return
