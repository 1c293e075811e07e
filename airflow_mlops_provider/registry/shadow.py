"""What versions have shown in the shadow of others: labelled windows, kept with the model's monitoring.

A window keeps truth and predictions of its rows and nothing else of them. Of a window that was compared again, the
latest comparison counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.specs import Task
from airflow_mlops_provider.registry.artifacts import required
from airflow_mlops_provider.registry.monitoring import WINDOW_END, monitoring_experiment
from airflow_mlops_provider.registry.session import tags_filter

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

PAIR = "mlops.shadow"
LABELLED = "mlops.shadow_labelled"
ROWS = "shadow/labelled.parquet"
MAX_WINDOWS = 1_000


def pair_tag(*, champion: str, shadow: str) -> str:
    """Return the tag that names which version stood in whose shadow."""
    return f"{champion}:{shadow}"


def write_window(run: LoggedRun, champion: Predictions, shadow: Predictions) -> None:
    """Store truth and predictions of one window's labelled rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"y_true": pa.array(champion.y_true)}
    for side, one in (("champion", champion), ("shadow", shadow)):
        columns[f"{side}_predicted"] = pa.array(one.predicted)
        if one.probabilities is not None:
            for code in range(one.probabilities.shape[1]):
                columns[f"{side}_probability_{code}"] = pa.array(one.probabilities[:, code])
    with tempfile.TemporaryDirectory(prefix="mlops-shadow-") as folder:
        path = Path(folder) / Path(ROWS).name
        pq.write_table(pa.table(columns), path, compression="zstd")
        run.log_file(path, str(Path(ROWS).parent))


def read_windows(
    registry: Registry, *, model_name: str, champion: str, shadow: str, task: Task, labels: Sequence[str]
) -> dict[str, tuple[Predictions, Predictions]]:
    """Read the labelled windows in which one version stood in the shadow of another.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name : str
        Registered model.
    champion, shadow : str
        Versions.
    task : {"binary", "multiclass", "regression"}
    labels : sequence of str
        Classes in code order.

    Returns
    -------
    dict
        End of the window to champion and shadow, in the order of the windows.
    """
    experiment = registry.client.get_experiment_by_name(monitoring_experiment(model_name))
    if experiment is None:
        return {}
    wanted = tags_filter({PAIR: pair_tag(champion=champion, shadow=shadow), LABELLED: "true"})
    runs = registry.client.search_runs(
        [experiment.experiment_id],
        filter_string=f"{wanted} and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=MAX_WINDOWS,
    )
    latest = {run.data.tags[WINDOW_END]: run.info.run_id for run in reversed(runs) if WINDOW_END in run.data.tags}
    return {end: _read(registry, latest[end], task=task, labels=labels) for end in sorted(latest)}


def _read(registry: Registry, run_id: str, *, task: Task, labels: Sequence[str]) -> tuple[Predictions, Predictions]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = required(registry, run_id=run_id, path=ROWS)
    try:
        table = pq.read_table(pa.BufferReader(content))
        return (
            _side(table, "champion", task=task, labels=labels),
            _side(table, "shadow", task=task, labels=labels),
        )
    # Of bytes in memory, an OSError is of their content: pyarrow raises it where they cannot be decompressed.
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise InputError(f"The shadow window in MLflow run {run_id} cannot be read: {error}.") from error


def _side(table: pa.Table, side: str, *, task: Task, labels: Sequence[str]) -> Predictions:
    import numpy as np

    names = [f"{side}_probability_{code}" for code in range(len(labels))]
    has = bool(names) and names[0] in table.column_names
    return Predictions(
        task=task,
        labels=tuple(labels),
        y_true=table.column("y_true").to_numpy(),
        predicted=table.column(f"{side}_predicted").to_numpy(),
        probabilities=np.column_stack([table.column(name).to_numpy() for name in names]) if has else None,
    )
