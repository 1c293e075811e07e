from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.registry.profiles import read_profile, training_profile, training_suite
from airflow_mlops_provider.registry.reference import (
    PREDICTIONS_PROFILE,
    SAMPLE,
    predictions_table,
    read_sample,
    write_reference,
)
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version

ROWS = pa.table({"n": np.arange(1000.0), "s": ["a", "b"] * 500, "y": ["No", "Yes"] * 500})
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
BINARY = Predictions(
    task="binary",
    labels=("No", "Yes"),
    y_true=np.array([0, 1, 0]),
    predicted=np.array([0, 1, 1]),
    probabilities=PROBABILITIES,
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    with open_registry(server) as opened:
        yield opened


def stored(registry: Registry, sample_rows: int) -> Version:
    with logged_run(registry, experiment_name="references", run_name="r", tags={}) as run:
        write_reference(
            run,
            rows=ROWS,
            features=["n", "s"],
            predictions=BINARY,
            holdout=ROWS.select(["n", "s"]).slice(0, 3),
            metric="roc_auc",
            model_name="m",
            sample_rows=sample_rows,
        )
    return Version(model_name="m", version="1", run_id=run.run_id, model_id=None, tags={})


def test_rows_predictions_and_expectations_are_stored_and_no_row_unless_asked_for(registry: Registry) -> None:
    version = stored(registry, 0)
    assert training_profile(registry, version) == profile_table(ROWS)
    predictions = read_profile(registry, f"runs:/{version.run_id}/{PREDICTIONS_PROFILE}")
    assert (predictions.rows, predictions.names) == (3, ("prediction", "probability"))
    assert {one["kwargs"]["column"] for one in training_suite(registry, version)} == {"n", "s"}
    assert read_sample(registry, version) is None
    assert read_sample(registry, Version(model_name="m", version="1", run_id=None, model_id=None, tags={})) is None


@pytest.mark.parametrize(("asked", "kept"), [(1, 1), (100, 100), (999, 999), (1000, 1000), (5000, 1000)])
def test_a_sample_has_the_size_asked_for_of_different_rows_over_the_whole_table(
    registry: Registry, asked: int, kept: int
) -> None:
    sample = read_sample(registry, stored(registry, asked))
    assert sample.num_rows == kept
    assert sample.schema.names == ROWS.schema.names
    values = sample.column("n").to_numpy()
    assert len(set(values)) == kept
    assert set(values) <= set(range(1000))
    if kept >= 100:
        assert np.diff(values).max() <= 1000 / kept + 2


def test_a_damaged_sample_is_refused(registry: Registry) -> None:
    version = stored(registry, 10)
    folder = registry.client.get_run(version.run_id).info.artifact_uri.removeprefix("file://")
    (Path(folder) / SAMPLE).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="reference sample of version 1 of model 'm' cannot be read"):
        read_sample(registry, version)


def test_what_a_model_said_is_a_table_for_every_task() -> None:
    assert predictions_table(BINARY).to_pydict() == {
        "prediction": ["No", "Yes", "Yes"],
        "probability": [0.1, 0.8, 0.6],
    }
    several = Predictions(
        task="multiclass",
        labels=("1", "2", "3"),
        y_true=np.array([0, 1]),
        predicted=np.array([2, 1]),
        probabilities=np.array([[0.1, 0.2, 0.7], [0.2, 0.5, 0.3]]),
    )
    numbers = Predictions(
        task="regression", labels=(), y_true=np.array([1.0, 2.0]), predicted=np.array([1.5, 2.5]), probabilities=None
    )
    # Labels that look like numbers are categories; the probability is that of the class that was chosen.
    assert predictions_table(several).to_pydict() == {"prediction": ["3", "2"], "probability": [0.7, 0.5]}
    assert predictions_table(numbers).to_pydict() == {"prediction": [1.5, 2.5]}
