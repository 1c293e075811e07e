"""What a model version carries of its own training: one JSON record and the set of training rows, in its MLflow run.

Everything that later judges, compares or watches the version starts from this record, so it must hold no raw values of
the data and must be readable by later versions of this package.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_set import RowSet
from airflow_mlops_provider.core.specs import FeatureKind, Task
from airflow_mlops_provider.registry.artifacts import required

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

SCHEMA = 1
FOLDER = "evidence"
RECORD = "training.json"
ROWS = "training_rows.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEvidence:
    """The record of one training.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        Kind of prediction.
    target : str
        Predicted column.
    classes : list
        Classes in code order, [] for regression.
    metric : str
        What decided.
    metrics, baseline_metrics : mapping of str to mapping
        On the held-out rows: value, lower, upper, method…
    baseline : list of float
        Class shares or mean of the training target.
    candidate : str
        Name of the winner.
    params : mapping
        Its parameters.
    candidates : list of mapping
        All candidates: name, params, fold_scores, mean, seconds.
    kinds : mapping of str to {"numeric", "categorical"}
        Feature columns in order.
    dropped : mapping of str to str
        Columns left out and why.
    importances : mapping of str to [mean, standard deviation]
        Permutation importance on held-out rows.
    identity_columns : list of str
        Columns whose hash identifies a row.
    split : mapping
        How rows were held out.
    rows, holdout_rows : int
        Number of training and held-out rows.
    fingerprint : mapping
        Identity of the data.
    seed : int
        Of everything random.
    digest : str
        Identity of the fitted model.
    requirements : list of str
        Pinned packages.
    python : str
        Version of Python.
    git_commit : str or None
        Of the DAG's folder.
    model_size_bytes : int
        Size of the model's files.
    """

    task: Task
    target: str
    classes: list[Any]
    metric: str
    metrics: Mapping[str, Mapping[str, Any]]
    baseline_metrics: Mapping[str, Mapping[str, Any]]
    baseline: list[float]
    candidate: str
    params: Mapping[str, Any]
    candidates: list[Mapping[str, Any]]
    kinds: Mapping[str, FeatureKind]
    dropped: Mapping[str, str]
    importances: Mapping[str, list[float]]
    identity_columns: list[str]
    split: Mapping[str, Any]
    rows: int
    holdout_rows: int
    fingerprint: Mapping[str, Any]
    seed: int
    digest: str
    requirements: list[str]
    python: str
    git_commit: str | None
    model_size_bytes: int

    def with_size(self, model_size_bytes: int) -> TrainingEvidence:
        """Return the record with the size of the model's files, known once they are written."""
        return replace(self, model_size_bytes=model_size_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values, with the number of its form."""
        return {"schema": SCHEMA, **asdict(self)}


def write_evidence(run: LoggedRun, evidence: TrainingEvidence, training_rows: RowSet) -> None:
    """Store the record and the set of training rows in the run."""
    run.log_dict(evidence.to_dict(), f"{FOLDER}/{RECORD}")
    with tempfile.TemporaryDirectory(prefix="mlops-evidence-") as folder:
        path = Path(folder) / ROWS
        path.write_bytes(training_rows.to_bytes())
        run.log_file(path, FOLDER)


def read_evidence(
    registry: Registry, *, run_id: str | None, version: str, model_name: str
) -> tuple[TrainingEvidence, RowSet]:
    """Read what a version carries.

    Parameters
    ----------
    registry : Registry
        An open session.
    run_id : str or None
        The MLflow run behind the version.
    version, model_name : str
        For messages.

    Raises
    ------
    InputError
        The version has no evidence, or one that cannot be read.
    """
    where = f"Version {version} of model {model_name!r}"
    hint = "Hint: train it with TrainModelOperator or @task.train_model."
    if not run_id:
        raise InputError(f"{where} has no MLflow run, so it carries no evidence. {hint}")
    try:
        record = json.loads(required(registry, run_id=run_id, path=f"{FOLDER}/{RECORD}"))
        rows = RowSet.from_bytes(required(registry, run_id=run_id, path=f"{FOLDER}/{ROWS}"))
    except ValueError as error:
        said = str(error).rstrip(".")
        raise InputError(f"{where}: its evidence in run {run_id} cannot be read: {said}. {hint}") from error
    schema = record.pop("schema", None) if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{where} carries evidence of form {schema!r}; this package reads form {SCHEMA}.")
    known = {one.name for one in fields(TrainingEvidence)}
    if set(record) != known:
        raise InputError(f"{where}: its evidence lacks or adds {sorted(set(record) ^ known)}.")
    return TrainingEvidence(**record), rows
