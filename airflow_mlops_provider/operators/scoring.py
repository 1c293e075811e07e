"""One pass of rows through a version, and others in its shadow, into tables that are published together or not at all.

Every row is read once: it is counted for the skew check, scored, counted again as a prediction, and written. One thread
reads and counts the next batch meanwhile, another counts and writes the one before. Nothing here keeps a batch, so
memory does not grow with the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.operators.scoring_counts import SkewCounter, serving_schema
from airflow_mlops_provider.operators.scoring_lanes import Lane, alone

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.data.source import DataSource

# Fewer rows where there are many columns.
_BATCH_ROWS = 1 << 17
_BATCH_VALUES = 1 << 23
_PROGRESS_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Pass:
    """What a pass over the rows told.

    Parameters
    ----------
    rows : int
        Scored.
    serving : DatasetProfile or None
        The features in the cells of training; None when they were not counted.
    seconds : float
        From the first batch to the last.
    refusal : InputError or None
        Why the first lane's model cannot score some row, at which the pass ended.
    """

    rows: int = 0
    serving: DatasetProfile | None = None
    seconds: float = field(default=0.0)
    refusal: InputError | None = None


def run_lanes(
    source: DataSource,
    lanes: Sequence[Lane],
    *,
    keys: Sequence[str],
    counter: SkewCounter | None,
    scored_at: datetime,
    log: Any,
) -> Pass:
    """Let every row of the source through every lane.

    Parameters
    ----------
    source : DataSource
        The rows.
    lanes : sequence of Lane
        The first one is whose output counts.
    keys : sequence of str
        Columns taken over into the output.
    counter : SkewCounter or None
        Counts the features.
    scored_at : datetime
        Written into every row.
    log : logger
        Told of progress.

    Raises
    ------
    InputError
        The output cannot be written.
    DataChangedError
        The data changed while they were read; nothing that was written counts.
    """
    from airflow_mlops_provider.data.beside import WriteBehind, read_ahead

    known = set(source.schema().names)
    features = dict.fromkeys(name for lane in lanes for name in lane.model.features if name in known)
    columns = [*features, *(name for name in keys if name not in features)]
    total = source.count_rows()
    found = Pass()
    began = said = time.monotonic()
    with WriteBehind() as behind, closing(read_ahead(_counted(source, columns, counter))) as batches:
        for batch in batches:
            for lane in lanes:
                try:
                    scored = _score(lane, batch, log=log)
                except InputError as error:
                    found.refusal = error
                    break
                if scored is not None:
                    keep = partial(lane.keep, scored, batch=batch, keys=keys, scored_at=scored_at)
                    behind.do(partial(_keep, lane, keep, log=log))
            if found.refusal is not None:
                break
            found.rows += batch.num_rows
            now = time.monotonic()
            if now - said >= _PROGRESS_SECONDS:
                said = now
                rate = found.rows / (now - began)
                log.info(
                    "Scored %d of %d rows (%.0f %%), %.0f rows/s", found.rows, total, 100 * found.rows / total, rate
                )
    found.seconds = time.monotonic() - began
    if counter is not None:
        found.serving = counter.result(others=serving_schema(source, beside=()))
    return found


def _counted(source: DataSource, columns: Sequence[str], counter: SkewCounter | None) -> Generator[pa.RecordBatch]:
    rows = max(1, min(_BATCH_ROWS, _BATCH_VALUES // max(1, len(columns))))
    for batch in source.batches(columns or None, batch_rows=rows, dictionaries=True):
        if counter is not None:
            counter.update(batch)
        yield batch


def _score(lane: Lane, batch: pa.RecordBatch, *, log: Any) -> pa.Table | None:
    if lane.error is None:
        with alone(lane, log=log):
            return lane.model.scorer.score(batch)
    return None


def _keep(lane: Lane, keep: Callable[[], None], *, log: Any) -> None:
    # A lane can have given up on the batch before while this one was scored.
    if lane.error is None:
        with alone(lane, log=log):
            keep()


def summary(rows: int, seconds: float) -> Mapping[str, Any]:
    """Return how much was scored and how fast."""
    return {
        "rows": rows,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds, 1) if seconds else None,
    }
