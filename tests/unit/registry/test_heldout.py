from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.registry import heldout
from airflow_mlops_provider.registry.artifacts import required
from airflow_mlops_provider.registry.heldout import HELDOUT, read_heldout, write_heldout
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version

Q = np.random.default_rng(0).dirichlet([1.0, 2.0, 3.0], 500)
SEVERAL = Predictions(
    task="multiclass",
    labels=("a", "b", "c"),
    y_true=np.random.default_rng(1).integers(0, 3, 500),
    predicted=Q.argmax(axis=1),
    probabilities=Q,
)
EVIDENCE = SimpleNamespace(task="multiclass", classes=["a", "b", "c"])


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    with open_registry(server) as opened:
        yield opened


def stored(registry: Registry, predictions: Predictions) -> Version:
    with logged_run(registry, experiment_name="heldout", run_name="r", tags={}) as run:
        write_heldout(run, predictions)
    return Version(model_name="m", version="1", run_id=run.run_id, model_id=None, tags={})


def test_what_was_said_and_what_was_true_comes_back_to_the_last_digit(registry: Registry) -> None:
    found = read_heldout(registry, stored(registry, SEVERAL), EVIDENCE)
    assert (found.task, found.labels) == ("multiclass", ("a", "b", "c"))
    assert (found.y_true == SEVERAL.y_true).all()
    assert (found.predicted == SEVERAL.predicted).all()
    assert (found.probabilities == Q).all()
    assert evaluate(found) == evaluate(SEVERAL)


def test_only_truth_and_probabilities_are_kept_of_a_row(registry: Registry) -> None:
    version = stored(registry, SEVERAL)
    content = required(registry, run_id=version.run_id, path=HELDOUT)
    names = pq.read_schema(pa.BufferReader(content)).names
    assert names == ["y_true", "predicted", "probability_0", "probability_1", "probability_2"]


def test_of_very_many_rows_a_part_is_kept_in_even_steps(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldout, "MAX_ROWS", 50)
    found = read_heldout(registry, stored(registry, SEVERAL), EVIDENCE)
    assert found.n_rows == 50
    assert (found.probabilities[[0, -1]] == Q[[0, -1]]).all()


def test_a_version_that_carries_none_is_refused_with_the_way_out(registry: Registry) -> None:
    margins = Predictions(
        task="binary", labels=("a", "b"), y_true=[0, 1], predicted=[0, 1], margins=np.array([-1.0, 1.0])
    )
    with pytest.raises(InputError, match=r"Version 1 of model 'm' carries no probabilities.*train it again"):
        read_heldout(registry, stored(registry, margins), SimpleNamespace(task="binary", classes=["a", "b"]))


def test_a_damaged_file_is_refused(registry: Registry, tmp_path: Path) -> None:
    with logged_run(registry, experiment_name="heldout", run_name="r", tags={}) as run:
        (tmp_path / Path(HELDOUT).name).write_bytes(b"PAR1 is no table")
        run.log_file(tmp_path / Path(HELDOUT).name, str(Path(HELDOUT).parent))
    version = Version(model_name="m", version="1", run_id=run.run_id, model_id=None, tags={})
    with pytest.raises(InputError, match="cannot be read"):
        read_heldout(registry, version, EVIDENCE)
    other = SimpleNamespace(task="multiclass", classes=["a", "b", "c", "d"])
    with pytest.raises(InputError, match="cannot be read"):
        read_heldout(registry, stored(registry, SEVERAL), other)
