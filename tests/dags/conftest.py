"""The example DAGs share the model name "churn", so each file of tests gets an MLflow store of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def own_mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Where the embedded store is put; Airflow itself has long read it.
        patch.setattr("airflow.configuration.AIRFLOW_HOME", str(tmp_path_factory.mktemp("mlflow_store")))
        yield
