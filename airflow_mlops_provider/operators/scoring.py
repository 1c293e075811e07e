"""One pass of rows through a version, and others in its shadow, into tables that are published together or not at all.

Every row is read once: it is counted for the skew check, scored, counted again as a prediction, and written. One thread
reads and counts the next batch meanwhile, another counts and writes the one before. Nothing here keeps a batch, so
memory does not grow with the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.operators.scoring_counts import SkewCounter, countable, serving_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.core.profiler import Profiler
    from airflow_mlops_provider.data.output import Place
    from airflow_mlops_provider.data.source import DataSource
    from airflow_mlops_provider.data.writer import TableWriter
    from airflow_mlops_provider.operators.scoring_model import ScoringModel

MODEL_VERSION = "model_version"
SCORED_AT = "scored_at"
# Fewer rows where there are many columns.
_BATCH_ROWS = 1 << 17
_BATCH_VALUES = 1 << 23
_PROGRESS_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Lane:
    """One version on its way through the rows.

    Parameters
    ----------
    model : ScoringModel
        Who scores.
    writer : TableWriter
        Where to.
    predictions : Profiler
        Counts what it says.
    is_shadow : bool
        Whether its failure is its own: the rows go on without it.
    error : str or None
        Why it gave up.
    """

    model: ScoringModel
    writer: TableWriter
    predictions: Profiler
    is_shadow: bool = False
    error: str | None = None

    def keep(self, scored: pa.Table, *, batch: pa.RecordBatch, keys: Sequence[str], scored_at: datetime) -> None:
        """Count the predictions of a batch and write them with its keys."""
        import pyarrow as pa

        self.predictions.update(countable(scored, labels=self.model.labels))
        rows = batch.num_rows
        columns = {name: batch.column(batch.schema.get_field_index(name)) for name in keys}
        columns |= dict(zip(scored.column_names, scored.columns, strict=True))
        columns[MODEL_VERSION] = pa.repeat(self.model.version.version, rows)
        columns[SCORED_AT] = pa.repeat(pa.scalar(scored_at, stamp_type()), rows)
        self.writer.write(pa.table(columns))


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
    """

    rows: int = 0
    serving: DatasetProfile | None = None
    seconds: float = field(default=0.0)


def stamp_type() -> pa.DataType:
    """Return the type of ``scored_at``."""
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC")


def output_schema(source: DataSource, model: ScoringModel, *, keys: Sequence[str]) -> pa.Schema:
    """Return the columns of an output: keys, predictions, ``model_version`` and ``scored_at``.

    Raises
    ------
    InputError
        A key is no column of the data, or has a name that the output gives to something else.
    """
    import pyarrow as pa
    import pyarrow.types as types

    ours = [*model.scorer.schema, pa.field(MODEL_VERSION, pa.string()), pa.field(SCORED_AT, stamp_type())]
    taken = sorted(set(keys) & {one.name for one in ours})
    if taken:
        raise InputError(f"key_columns {taken} have names that the output itself uses. Hint: rename them in the data.")
    known = {one.name: one.type for one in source.schema()}
    given = [(name, known[name]) for name in (source.select(keys) if keys else [])]
    plain = [(name, kind.value_type if types.is_dictionary(kind) else kind) for name, kind in given]
    return pa.schema([*plain, *ours])


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
        The first lane's model cannot score the rows.
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
                scored = _score(lane, batch, log=log)
                if scored is not None:
                    keep = partial(lane.keep, scored, batch=batch, keys=keys, scored_at=scored_at)
                    behind.do(partial(_keep, lane, keep, log=log))
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


@contextmanager
def _alone(lane: Lane, *, log: Any) -> Iterator[None]:
    """Let a shadow's failure be its own: it must not harm what it stands in the shadow of."""
    try:
        yield
    except Exception as error:
        if not lane.is_shadow:
            raise
        lane.error = f"{type(error).__name__}: {error}"
        log.warning("Shadow %s gave up: %s", lane.model.version.label, lane.error)


def _score(lane: Lane, batch: pa.RecordBatch, *, log: Any) -> pa.Table | None:
    if lane.error is None:
        with _alone(lane, log=log):
            return lane.model.scorer.score(batch)
    return None


def _keep(lane: Lane, keep: Callable[[], None], *, log: Any) -> None:
    # A lane can have given up on the batch before while this one was scored.
    if lane.error is None:
        with _alone(lane, log=log):
            keep()


def open_lanes(
    stack: ExitStack,
    source: DataSource,
    models: Sequence[ScoringModel],
    *,
    place: Place,
    keys: Sequence[str],
    partition_by: Sequence[str],
    owner: str,
    written_by: str,
    overwrite: bool,
) -> list[Lane]:
    """Open an output for each version.

    Parameters
    ----------
    stack : ExitStack
        Removes what was not published when it is closed.
    source : DataSource
        The rows.
    models : sequence of ScoringModel
        The first one scores, the others in its shadow.
    place : Place
        Of the first one's output.
    keys, partition_by : sequence of str
        Columns to carry over, and those of them that become folders.
    owner : str
        Key of the effect.
    written_by : str
        Which task of which run, for people.
    overwrite : bool
        Whether to replace an output of another run.
    """
    from airflow_mlops_provider.core.profiler import Profiler
    from airflow_mlops_provider.data.writer import ParquetWriter

    lanes: list[Lane] = []
    for model in models:
        version = model.version
        writer = ParquetWriter(
            place.beside(shadow_name(place.name, version.version)) if lanes else place,
            schema=output_schema(source, model, keys=keys),
            owner=owner,
            about={"written_by": written_by, "model_name": version.model_name, "model_version": version.version},
            partition_by=partition_by,
            overwrite=overwrite,
        )
        stack.callback(writer.close)
        counter = Profiler({} if model.heldout is None else model.heldout.grids)
        lanes.append(Lane(model=model, writer=writer, predictions=counter, is_shadow=bool(lanes)))
    return lanes


def shadow_name(name: str, version: str) -> str:
    """Return the name of a shadow's output: beside the output, and one that no reader of folders takes for data.

    Examples
    --------
    >>> shadow_name("day.parquet", "3"), shadow_name("day=1", "3")
    ('_day.shadow-3.parquet', '_day-1.shadow-3')
    """
    # A name with "=" would be a Hive partition, which is read even behind an underscore.
    stem, suffix = (name.removesuffix(".parquet"), ".parquet") if name.endswith(".parquet") else (name, "")
    return f"_{stem.replace('=', '-')}.shadow-{version}{suffix}"


def summary(rows: int, seconds: float) -> Mapping[str, Any]:
    """Return how much was scored and how fast."""
    return {
        "rows": rows,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds, 1) if seconds else None,
    }
