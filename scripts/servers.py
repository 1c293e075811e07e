"""The servers around Airflow as processes: MLflow, PostgreSQL, Redis and an S3-compatible store, all on 127.0.0.1.

They say how each is started and when it is healthy; who starts and stops them is the caller's part.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.services import HOST, Service, ServiceError, answers

DEBIAN = "apt-get install postgresql redis-server"


def mlflow_server(
    home: Path,
    *,
    port: int,
    env: Mapping[str, str] | None = None,
    backend: str = "",
    artifacts: str = "",
    workers: int = 1,
    options: tuple[str, ...] = (),
) -> Service:
    """Return an ``mlflow server`` that keeps everything under `home`, unless `backend` and `artifacts` say where."""
    home.mkdir(parents=True, exist_ok=True)
    return Service(
        name="mlflow",
        command=[
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
            *("--workers", str(workers), "--backend-store-uri", backend or f"sqlite:///{home}/mlflow.db"),
            *("--artifacts-destination", artifacts or str(home / "artifacts"), *options),
        ],
        # Its job runner starts a handful of processes of no use here, and had unauthenticated endpoints.
        env={
            **(os.environ if env is None else env),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        cwd=home,
        log=home / "mlflow.log",
        healthy=lambda: answers(f"http://{HOST}:{port}/health"),
    )


def postgres(home: Path, *, port: int) -> Service:
    """Return a PostgreSQL server with its files, made here, in `home`; the superuser ``mlops`` needs no password."""
    binaries = postgres_programs()
    if binaries is None:
        raise ServiceError(f"PostgreSQL's initdb and postgres are not installed: {DEBIAN}")
    # PostgreSQL refuses to run as root; Debian's package comes with a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    command = [binaries / "initdb", "-D", home / "data", "-U", "mlops", "--auth=trust", "-E", "UTF8", "-N"]
    done = subprocess.run(command, user=user, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"initdb failed:\n{done.stdout}{done.stderr}")
    return Service(
        name="postgres",
        command=[
            *(str(binaries / "postgres"), "-D", str(home / "data"), "-p", str(port), "-h", HOST),
            *("-k", str(home), "-c", "fsync=off", "-c", "max_connections=300"),
        ],
        env=os.environ,
        cwd=home,
        log=home / "postgres.log",
        user=user,
        stop_signal=signal.SIGINT,  # its fast shutdown
        healthy=lambda: _takes_connections(port),
    )


def postgres_programs() -> Path | None:
    """Return the directory of PostgreSQL's programs, the newest."""
    found = [shutil.which("initdb"), *sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)]
    for one in found:
        if one and Path(one).resolve().with_name("postgres").exists():
            return Path(one).resolve().parent
    return None


def _takes_connections(port: int) -> bool:
    import psycopg2

    try:
        psycopg2.connect(host=HOST, port=port, user="mlops", dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def redis(home: Path, *, port: int, password: str) -> Service:
    """Return a Redis server that keeps nothing on disk; the password is passed in a file."""
    program = shutil.which("redis-server")
    if program is None:
        raise ServiceError(f"redis-server is not installed: {DEBIAN}")
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "redis.conf"
    settings.touch(mode=0o600)
    settings.write_text(f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir "{home}"\n')
    return Service(
        name="redis",
        command=[program, str(settings)],
        env=os.environ,
        cwd=home,
        log=home / "redis.log",
        healthy=lambda: _pongs(port, password),
    )


def _pongs(port: int, password: str) -> bool:
    from redis import Redis, RedisError

    try:
        return bool(Redis(host=HOST, port=port, password=password).ping())
    except RedisError:
        return False


def s3_store(home: Path, *, port: int) -> Service:
    """Return an S3-compatible store that forgets everything when it ends."""
    home.mkdir(parents=True, exist_ok=True)
    return Service(
        name="s3",
        command=[sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
        env=os.environ,
        cwd=home,
        log=home / "s3.log",
        healthy=lambda: answers(f"http://{HOST}:{port}/moto-api/data.json"),
    )
