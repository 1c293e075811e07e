from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance import MetricValue
from airflow_mlops_provider.registry.runs import LoggedRun, logged_run
from airflow_mlops_provider.registry.segments import SEGMENTS, read_segments, write_segments
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version

VALUE = MetricValue(
    name="roc_auc", value=0.8, lower=0.7, upper=0.9, confidence=0.95, n_rows=90, method="delong_logit",
    greater_is_better=True,
)  # fmt: skip
KEY = (("größe, m", "<b>"),)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    with open_registry(server) as opened:
        yield opened


@pytest.fixture
def run(registry: Registry) -> Iterator[LoggedRun]:
    with logged_run(registry, experiment_name="segments", run_name="r", tags={}) as opened:
        yield opened


def of(run: LoggedRun) -> Version:
    return Version(model_name="m", version="1", run_id=run.run_id, model_id=None, tags={})


def test_values_come_back_for_the_metric_they_are_of(registry: Registry, run: LoggedRun) -> None:
    write_segments(run, {KEY: VALUE})
    assert read_segments(registry, of(run), metric="roc_auc") == {KEY: VALUE}
    assert read_segments(registry, of(run), metric="accuracy") == {}


def test_a_version_without_them_has_none(registry: Registry, run: LoggedRun) -> None:
    assert read_segments(registry, of(run), metric="roc_auc") == {}
    without_run = Version(model_name="m", version="1", run_id=None, model_id=None, tags={})
    assert read_segments(registry, without_run, metric="roc_auc") == {}


def test_a_damaged_file_is_refused(registry: Registry, run: LoggedRun) -> None:
    run.log_text('{"segments": [{}]}', SEGMENTS)
    with pytest.raises(InputError, match="segments of version 1 of model 'm' cannot be read"):
        read_segments(registry, of(run), metric="roc_auc")
