from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_set import RowSet
from airflow_mlops_provider.registry.evidence import (
    FOLDER,
    RECORD,
    ROWS,
    TrainingEvidence,
    read_evidence,
    write_evidence,
)
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry

EVIDENCE = TrainingEvidence(
    task="binary",
    target="churn",
    classes=["No", "Yes"],
    metric="roc_auc",
    metrics={"roc_auc": {"value": 0.8, "lower": 0.7, "upper": 0.9}},
    baseline_metrics={},
    baseline=[0.7, 0.3],
    candidate="LogisticRegression",
    params={"C": 1.0},
    candidates=[],
    kinds={"tenure": "numeric"},
    dropped={},
    importances={"tenure": [0.1, 0.01]},
    identity_columns=["churn", "tenure"],
    split={"method": "hash"},
    rows=2,
    holdout_rows=1,
    fingerprint={"sha256": "ab"},
    seed=0,
    digest="cd",
    requirements=["scikit-learn==1.9.1"],
    python="3.11.0",
    git_commit=None,
    model_size_bytes=0,
)
TRAINED_ON = RowSet.of(np.array([5, 7], dtype=np.uint64))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as registry:
        yield registry


@pytest.fixture
def run_id(registry: Registry) -> str:
    with logged_run(registry, experiment_name="evidence", run_name="r", tags={}) as run:
        write_evidence(run, EVIDENCE.with_size(123), TRAINED_ON)
    return run.run_id


def read(registry: Registry, run_id: str | None) -> tuple[TrainingEvidence, RowSet]:
    return read_evidence(registry, run_id=run_id, version="3", model_name="churn")


def files(registry: Registry, run_id: str) -> Path:
    return Path(registry.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / FOLDER


def test_evidence_comes_back_as_it_was_written(registry: Registry, run_id: str) -> None:
    evidence, rows = read(registry, run_id)
    assert evidence == EVIDENCE.with_size(123)
    assert rows == TRAINED_ON


def change(key: str, value: Any) -> Any:
    def spoil(folder: Path) -> None:
        record = json.loads((folder / RECORD).read_text())
        record.pop(key, None)
        if value is not None:
            record[key] = value
        (folder / RECORD).write_text(json.dumps(record))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / RECORD).unlink(), "cannot be read"),
        (lambda folder: (folder / ROWS).unlink(), "cannot be read"),
        (lambda folder: (folder / RECORD).write_text("{"), "cannot be read"),
        (lambda folder: (folder / RECORD).write_text("[]"), "form None; this package reads form 1"),
        (lambda folder: (folder / ROWS).write_bytes(b"ROWSET"), "cannot be read: The 6 bytes are not"),
        (lambda folder: (folder / ROWS).write_bytes((folder / ROWS).read_bytes()[:-1]), "truncated or damaged"),
        (change("schema", 2), "carries evidence of form 2; this package reads form 1"),
        (change("schema", None), "carries evidence of form None"),
        (change("target", None), r"its evidence lacks or adds \['target'\]"),
        (change("more", 1), r"its evidence lacks or adds \['more'\]"),
    ],
)
def test_evidence_that_was_damaged_or_is_of_another_form_is_refused(
    registry: Registry, run_id: str, spoil: Any, message: str
) -> None:
    spoil(files(registry, run_id))
    with pytest.raises(InputError, match=f"Version 3 of model 'churn'.*{message}"):
        read(registry, run_id)


def test_a_version_without_evidence_is_refused_with_what_to_do(registry: Registry) -> None:
    with pytest.raises(InputError, match=r"has no MLflow run, so it carries no evidence. Hint: train it with Train"):
        read(registry, None)
    with logged_run(registry, experiment_name="evidence", run_name="bare", tags={}) as run:
        pass
    with pytest.raises(InputError, match=r"has no artifact 'evidence/training\.json'.*Hint: train it with Train"):
        read(registry, run.run_id)
