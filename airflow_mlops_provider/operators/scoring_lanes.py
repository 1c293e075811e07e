"""The versions that score: who they are, where each writes to, and what a shadow's failure means to the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.operators.scoring_counts import countable

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.profiler import Profiler
    from airflow_mlops_provider.data.output import Place
    from airflow_mlops_provider.data.source import DataSource
    from airflow_mlops_provider.data.writer import TableWriter
    from airflow_mlops_provider.operators.scoring_model import ScoringModel

MODEL_VERSION = "model_version"
SCORED_AT = "scored_at"


@dataclass(slots=True, kw_only=True)
class Lane:
    """One version on its way through the rows.

    Parameters
    ----------
    model : ScoringModel
        Who scores.
    predictions : Profiler
        Counts what it says.
    writer : TableWriter or None
        Where to; None while it is not open.
    is_shadow : bool
        Whether its failure is its own: the rows go on without it.
    error : str or None
        Why it gave up.
    """

    model: ScoringModel
    predictions: Profiler
    writer: TableWriter | None = None
    is_shadow: bool = False
    error: str | None = None

    @property
    def table(self) -> TableWriter:
        """Where to, of a lane that is open."""
        if self.writer is None:
            raise InputError(f"No output of {self.model.version.label} is open: {self.error}.")
        return self.writer

    def keep(self, scored: pa.Table, *, batch: pa.RecordBatch, keys: Sequence[str], scored_at: datetime) -> None:
        """Count the predictions of a batch and write them with its keys."""
        import pyarrow as pa

        self.predictions.update(countable(scored, labels=self.model.labels))
        rows = batch.num_rows
        columns = {name: batch.column(batch.schema.get_field_index(name)) for name in keys}
        columns |= dict(zip(scored.column_names, scored.columns, strict=True))
        columns[MODEL_VERSION] = pa.repeat(self.model.version.version, rows)
        columns[SCORED_AT] = pa.repeat(pa.scalar(scored_at, stamp_type()), rows)
        self.table.write(pa.table(columns))


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


@contextmanager
def alone(lane: Lane, *, log: Any) -> Iterator[None]:
    """Let a shadow's failure be its own: it must not harm what it stands in the shadow of."""
    try:
        yield
    except Exception as error:
        if not lane.is_shadow:
            raise
        lane.error = f"{type(error).__name__}: {error}"
        log.warning("Shadow %s gave up: %s", lane.model.version.label, lane.error)


def _close(lane: Lane, *, log: Any) -> None:
    with alone(lane, log=log):
        lane.table.close()


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
    log: Any,
) -> list[Lane]:
    """Open an output for each version; a shadow whose output cannot be opened has given up.

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
    log : logger
        Told of shadows that give up.
    """
    from airflow_mlops_provider.core.profiler import Profiler
    from airflow_mlops_provider.data.writer import ParquetWriter

    lanes: list[Lane] = []
    for model in models:
        version = model.version
        counter = Profiler({} if model.heldout is None else model.heldout.grids)
        lane = Lane(model=model, predictions=counter, is_shadow=bool(lanes))
        with alone(lane, log=log):
            lane.writer = ParquetWriter(
                place.beside(shadow_name(place.name, version.version)) if lane.is_shadow else place,
                schema=output_schema(source, model, keys=keys),
                owner=owner,
                about={"written_by": written_by, "model_name": version.model_name, "model_version": version.version},
                partition_by=partition_by,
                overwrite=overwrite,
            )
            stack.callback(_close, lane, log=log)
        lanes.append(lane)
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
