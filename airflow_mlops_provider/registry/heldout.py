"""What a version said of its held-out rows and what was true: by these rows later ones are judged without labels.

Truth and probabilities are kept, and nothing else of a row: no feature, no key.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.registry.artifacts import read

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

HELDOUT = "evidence/heldout_predictions.parquet"
# Beyond these, more rows make no estimate better that matters: the share of any class is known to 0.2 points.
MAX_ROWS = 100_000


def write_heldout(run: LoggedRun, predictions: Predictions) -> None:
    """Store truth and probabilities of held-out rows; of a model without probabilities there is nothing to store."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if predictions.probabilities is None:
        return
    # Held-out rows lie in the order of their hashes or of time, through which even steps are a fair sample.
    keep = np.unique(np.linspace(0, predictions.n_rows - 1, min(MAX_ROWS, predictions.n_rows)).round().astype(np.int64))
    columns = {"y_true": pa.array(predictions.y_true[keep]), "predicted": pa.array(predictions.predicted[keep])}
    for code in range(len(predictions.labels)):
        columns[f"probability_{code}"] = pa.array(predictions.probabilities[keep, code])
    with tempfile.TemporaryDirectory(prefix="mlops-heldout-") as folder:
        path = Path(folder) / Path(HELDOUT).name
        pq.write_table(pa.table(columns), path, compression="zstd")
        run.log_file(path, str(Path(HELDOUT).parent))


def read_heldout(registry: Registry, version: Version, evidence: TrainingEvidence) -> Predictions:
    """Read what a classifier said of its held-out rows.

    Parameters
    ----------
    registry : Registry
        An open session.
    version : Version
        Which.
    evidence : TrainingEvidence
        Its record.

    Raises
    ------
    InputError
        The version carries none, because it gives no probabilities or is older than this record; or they are damaged,
        or not those that were written in training.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read(registry, run_id=str(version.run_id), path=HELDOUT)
    if content is None:
        raise InputError(
            f"{version.title} carries no probabilities of its held-out rows, without which performance cannot be "
            "estimated: its model gives none, or it was trained before they were kept. Hint: train it again, with "
            "an estimator that has predict_proba."
        )
    try:
        table = pq.read_table(pa.BufferReader(content))
        names = [f"probability_{code}" for code in range(len(evidence.classes))]
        return Predictions(
            task=evidence.task,
            labels=tuple(str(one) for one in evidence.classes),
            y_true=table.column("y_true").to_numpy(),
            predicted=table.column("predicted").to_numpy(),
            probabilities=np.column_stack([table.column(name).to_numpy() for name in names]),
        )
    # Of bytes in memory, an OSError is of their content: pyarrow raises it where they cannot be decompressed.
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise InputError(f"The held-out probabilities of {version.label} cannot be read: {error}.") from error
