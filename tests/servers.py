"""Real servers for the tests: MLflow, PostgreSQL and S3 (moto), each in processes of its own on a free port."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts import servers
from scripts.services import HOST, Service, free_port, stop

__all__ = ["free_port", "missing_postgres", "mlflow_server", "postgres", "running", "s3_server"]


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Yield a service that is healthy; afterwards nothing of it runs."""
    try:
        yield service.start().wait_until_healthy()
    finally:
        stop([service])


@contextmanager
def mlflow_server(home: Path, *, port: int | None = None, workers: int = 1, **given: Any) -> Iterator[str]:
    """Yield the address of an ``mlflow server`` that keeps everything under `home`, or where it is told to."""
    port = port or free_port()
    with running(servers.mlflow_server(home, port=port, workers=workers, **given)):
        yield f"http://{HOST}:{port}"


@contextmanager
def s3_server(home: Path) -> Iterator[str]:
    """Yield the address of an S3 server without buckets, which takes any credentials and forgets all at its end."""
    port = free_port()
    with running(servers.s3_store(home, port=port)):
        yield f"http://{HOST}:{port}"


def missing_postgres() -> str | None:
    """Return what is missing to run PostgreSQL here, or None."""
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "the package psycopg2-binary is not installed: pip install psycopg2-binary"
    return None if servers.postgres_programs() else "PostgreSQL is not installed: apt-get install postgresql"


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the SQLAlchemy address of an empty database of a PostgreSQL server of its own."""
    # Not below the directory of the tests, which its user may not enter.
    home = Path(tempfile.mkdtemp(prefix="mlops-postgres-"))
    port = free_port()
    try:
        with running(servers.postgres(home, port=port)):
            yield f"postgresql+psycopg2://mlops@{HOST}:{port}/postgres"
    finally:
        shutil.rmtree(home, ignore_errors=True)
