"""What later windows are compared with, behind a version: profiles, a suite, and a sample of rows only if asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance_segments import heldout_segments
from airflow_mlops_provider.core.profiler import Profiler
from airflow_mlops_provider.core.reference_grids import reference_grids
from airflow_mlops_provider.core.suggest import suggest
from airflow_mlops_provider.registry.artifacts import read
from airflow_mlops_provider.registry.heldout import write_heldout
from airflow_mlops_provider.registry.profiles import TRAINING_PROFILE, TRAINING_SUITE, write_profile
from airflow_mlops_provider.registry.segments import write_segments

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.predictions import Predictions
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

PREDICTIONS_PROFILE = "evidence/predictions_profile.json"
SAMPLE = "evidence/reference_sample.parquet"


def write_reference(
    run: LoggedRun,
    *,
    rows: pa.Table,
    features: Sequence[str],
    predictions: Predictions,
    holdout: pa.Table,
    metric: str,
    model_name: str,
    sample_rows: int,
) -> None:
    """Store what monitoring starts from.

    Parameters
    ----------
    run : LoggedRun
        Behind the version.
    rows : pyarrow.Table
        Training rows: features and target.
    features : sequence of str
        What expectations are suggested for; the target is missing where labels are not known yet.
    predictions : Predictions
        On the held-out rows.
    holdout : pyarrow.Table
        Features of these rows, in their order; of segments of few values, the metric is kept.
    metric : str
        What decided.
    model_name : str
        Names the suite.
    sample_rows : int
        Rows to keep as they are, for comparisons that need rows; 0 keeps none.
    """
    profile = profile_of(rows)
    write_profile(run, profile, TRAINING_PROFILE)
    write_profile(run, profile_of(predictions_table(predictions)), PREDICTIONS_PROFILE)
    write_heldout(run, predictions)
    run.log_dict({"name": model_name, "expectations": suggest(profile, columns=features)}, TRAINING_SUITE)
    write_segments(
        run, heldout_segments(predictions, dict(zip(holdout.column_names, holdout.columns, strict=True)), metric=metric)
    )
    if sample_rows:
        _write_sample(run, rows, sample_rows)


def profile_of(table: pa.Table) -> DatasetProfile:
    """Profile a table in memory in cells of its own."""
    profiler = Profiler(reference_grids(table))
    profiler.update(table)
    return profiler.result()


def predictions_table(predictions: Predictions) -> pa.Table:
    """Return what a model said: ``prediction``, and ``probability`` of the positive class, or of the chosen one."""
    import numpy as np
    import pyarrow as pa

    if predictions.task == "regression":
        return pa.table({"prediction": np.asarray(predictions.predicted, dtype=float)})
    names = np.array(predictions.labels, dtype=object)[predictions.predicted]
    columns: dict[str, Any] = {"prediction": pa.array(names.tolist(), pa.string())}
    if predictions.probabilities is not None:
        given = predictions.probabilities
        columns["probability"] = given[:, 1] if predictions.task == "binary" else given.max(axis=1)
    return pa.table(columns)


def _write_sample(run: LoggedRun, rows: pa.Table, sample_rows: int) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    # Training rows lie in the order of their hashes, so that even steps through them are a random sample.
    keep = np.unique(np.linspace(0, len(rows) - 1, min(sample_rows, len(rows))).round().astype(np.int64))
    with tempfile.TemporaryDirectory(prefix="mlops-sample-") as folder:
        path = Path(folder) / Path(SAMPLE).name
        pq.write_table(rows.take(keep), path)
        run.log_file(path, str(Path(SAMPLE).parent))


def read_sample(registry: Registry, version: Version) -> pa.Table | None:
    """Return the sample of training rows that a version carries, or None when it keeps none.

    Raises
    ------
    InputError
        It is damaged, or not the one that was written in training.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not version.run_id:
        return None
    content = read(registry, run_id=version.run_id, path=SAMPLE)
    if content is None:
        return None
    try:
        return pq.read_table(pa.BufferReader(content))
    # Of bytes in memory, an OSError is of their content: pyarrow raises it where they cannot be decompressed.
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"The reference sample of {version.label} cannot be read: {error}.") from error
