"""Streams a data source into a profile, columns in parallel; must never hold more than some batches of it.

Without grids the source is read twice: once to choose the cells by a random sample of its rows (and by all texts of a
column until they are too many), once to count. With grids, once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import Grid, NoGrid
from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile
from airflow_mlops_provider.core.profiler import ColumnProfiler
from airflow_mlops_provider.core.reference_grids import (
    MAX_CATEGORIES,
    SAMPLE_ROWS,
    GridBuilder,
    names_budget,
    sample_positions,
)
from airflow_mlops_provider.data.source import DataSource

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_MAX_THREADS = 4
# Parts of the columns that each thread works through: many, so that all end together; not one for each column,
# because every part opens every file.
_PARTS_PER_THREAD = 8
# Most values that the batches of one thread hold, some 8 MB, and the least rows that are worth a batch.
_BATCH_VALUES = 1 << 20
_MIN_BATCH_ROWS = 1 << 13
_MAX_BATCH_ROWS = 1 << 17


def profile_source(
    source: DataSource,
    *,
    grids: Mapping[str, Grid] | None = None,
    columns: Sequence[str] | None = None,
    max_categories: int = MAX_CATEGORIES,
    sample_rows: int = SAMPLE_ROWS,
    seed: int = 0,
    threads: int | None = None,
) -> DatasetProfile:
    """Profile a data source in memory that does not grow with its rows.

    Parameters
    ----------
    source : DataSource
        The rows.
    grids : mapping of str to Grid, optional
        Cells to count in: those of the reference. By default they are chosen on the source itself.
    columns : sequence of str, optional
        Columns to profile. By default all of the source, and those of `grids` that the source lacks.
    max_categories, sample_rows, seed : int
        As for ``reference_grids``; without meaning when `grids` are given.
    threads : int, optional
        At least 1. By default as many as the process may use, at most 4.

    Returns
    -------
    DatasetProfile
        The same for any number of threads.

    Raises
    ------
    InputError
        As for ``DataSource.batches``; a number is below 1; a text is not in UTF-8.
    DataChangedError
        The data changed while they were read.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1; got {threads}.")
    present, lacking = _split_names(source, grids, columns)
    n_rows = source.count_rows()
    plan = _Plan(
        source=source,
        grids=grids,
        positions=sample_positions(n_rows, sample_rows, seed=seed),
        max_categories=max_categories,
        names_bytes=names_budget(source.schema()),
    )
    profiles = [ColumnProfiler(name, (grids or {})[name]).result() for name in lacking]
    profiles += _in_parallel(plan, present, threads or min(_MAX_THREADS, _usable_cpus()))
    return DatasetProfile(rows=n_rows, columns=tuple(sorted(profiles, key=lambda profile: profile.name)))


def _split_names(
    source: DataSource, grids: Mapping[str, Grid] | None, columns: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Return the columns to read, and those of the reference that the source lacks."""
    if columns is None or isinstance(columns, str):
        present = source.select(columns)
        return present, [name for name in grids or {} if name not in present]
    known = set(source.schema().names)
    lacking = [name for name in columns if name in (grids or {}) and name not in known]
    rest = [name for name in columns if name not in lacking]
    return source.select(rest) if rest or not lacking else [], lacking


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """What the threads share."""

    source: DataSource
    grids: Mapping[str, Grid] | None
    positions: NDArray[np.int64]
    max_categories: int
    names_bytes: int
    stop: Event = field(default_factory=Event)


def _in_parallel(plan: _Plan, names: Sequence[str], threads: int) -> list[ColumnProfile]:
    if not plan.source.is_columnar:
        # Its rows must be read together, and most of the work is to parse them, which is parallel by itself.
        return _profile(plan, names)
    size = max(1, len(names) // (threads * _PARTS_PER_THREAD))
    with ThreadPoolExecutor(threads) as pool:
        tasks = [pool.submit(_profile, plan, names[start : start + size]) for start in range(0, len(names), size)]
        try:
            return [profile for task in tasks for profile in task.result()]
        except BaseException:
            # Also of this thread alone, as a time-out; the others must not go on reading for minutes.
            plan.stop.set()
            raise


def _profile(plan: _Plan, names: Sequence[str]) -> list[ColumnProfile]:
    """Profile columns that are read together."""
    grids = _choose(plan, names) if plan.grids is None else plan.grids
    counters = [ColumnProfiler(name, grids.get(name, NoGrid())) for name in names]
    for batch in _batches(plan, names):
        for counter, column in zip(counters, batch.columns, strict=True):
            counter.update(column)
    return [counter.result() for counter in counters]


def _choose(plan: _Plan, names: Sequence[str]) -> dict[str, Grid]:
    types = {known.name: known.type for known in plan.source.schema()}
    builders = [
        GridBuilder(
            name,
            types[name],
            positions=plan.positions,
            max_categories=plan.max_categories,
            names_bytes=plan.names_bytes,
        )
        for name in names
    ]
    for batch in _batches(plan, names):
        for builder, column in zip(builders, batch.columns, strict=True):
            builder.add(column)
    return {name: builder.grid() for name, builder in zip(names, builders, strict=True)}


def _batches(plan: _Plan, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    n_rows = max(_MIN_BATCH_ROWS, min(_MAX_BATCH_ROWS, _BATCH_VALUES // max(1, len(names))))
    for batch in plan.source.batches(names, batch_rows=n_rows, dictionaries=True):
        if plan.stop.is_set():
            return
        yield batch


def _usable_cpus() -> int:
    # Not every system can tell the CPUs of the process from those of the machine.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
