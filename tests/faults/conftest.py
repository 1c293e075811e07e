"""MLflow stores to break things on: SQLite opened directly, and an ``mlflow server`` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_mlops_provider.registry.session import TrackingServer
from tests.servers import missing_postgres, mlflow_server, postgres


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where an MLflow store is, and how long eight processes take to move a champion on it, about."""

    uri: str
    artifacts: Path | None
    race_seconds: float

    def server(self) -> TrackingServer:
        return TrackingServer(uri=self.uri, artifact_root=None if self.artifacts is None else str(self.artifacts))


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("sqlite")
    return Store(uri=f"sqlite:///{home}/mlflow.db", artifacts=home / "artifacts", race_seconds=6)


@pytest.fixture(scope="session")
def postgres_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    missing = missing_postgres()
    if missing:
        pytest.skip(missing)
    home = tmp_path_factory.mktemp("postgres")
    with postgres() as backend, mlflow_server(home, backend=backend, workers=2) as url:
        yield Store(uri=url, artifacts=None, race_seconds=1.5)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found
