"""Labels brought together with scored rows; one mechanism for the champion's performance and for shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.label_join import LabelCounts, match_labels
from airflow_mlops_provider.core.row_times import row_times
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.training.target import true_values

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.registry.evidence import TrainingEvidence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledRows:
    """Scored rows whose truth is known.

    Parameters
    ----------
    rows : int array, shape (n,)
        Their positions in the scored table, ascending.
    values : array, shape (n,)
        True values.
    others : pyarrow.Table
        Of each, the further columns that the labels were asked for and have.
    counts : LabelCounts
        Of all labels.
    fingerprint : Fingerprint
        Of the labels.
    """

    rows: NDArray[np.int64]
    values: NDArray[Any]
    others: pa.Table
    counts: LabelCounts
    fingerprint: Fingerprint


def check_keys(operator: str, key_columns: Sequence[str]) -> tuple[str, ...]:
    """Return the keys that a user names; refuses none, one twice, and a bare string."""
    keys = () if isinstance(key_columns, str) else tuple(key_columns)
    if not keys or len(set(keys)) != len(keys):
        raise InputError(
            f"{operator} needs a list of key_columns, each once, to join labels with predictions; got {key_columns!r}."
        )
    return keys


def read_labels(
    data: Any,
    scored: pa.Table,
    *,
    keys: Sequence[str],
    evidence: TrainingEvidence,
    positions: NDArray[np.int64] | None = None,
    time_column: str | None = None,
    now: datetime | None = None,
    others: Sequence[str] = (),
) -> LabelledRows:
    """Read labels and find the row of each.

    Parameters
    ----------
    data : data argument
        Labels: keys and target.
    scored : pyarrow.Table
        All rows that were scored, with the keys.
    keys : sequence of str
        Columns that name a row.
    evidence : TrainingEvidence
        Says which column the target is, and of which kind.
    positions : int array, optional
        Rows of `scored` whose labels are wanted; default all.
    time_column : str, optional
        Column of the labels that says when each became known; the latest up to `now` counts.
    now : datetime, optional
        Labels after it were not known.
    others : sequence of str
        Columns to take along where the labels have them.

    Raises
    ------
    NoDataError
        There are no labels.
    InputError
        As :func:`~airflow_mlops_provider.core.label_join.match_labels`.
    """
    with open_data(data) as source:
        known = set(source.schema().names)
        along = [name for name in others if name in known and name not in keys]
        times_from = [] if time_column is None else [time_column]
        labels = source.to_table(list(dict.fromkeys([*keys, evidence.target, *times_from, *along])))
        fingerprint = source.fingerprint()
    times = None if time_column is None else row_times(labels.column(time_column), name=time_column)
    found = match_labels(scored, labels, keys=keys, target=evidence.target, positions=positions, times=times, now=now)
    chosen = labels.take(found.labels)
    # Of no rows there is no value, and where all labels are empty not even a type.
    column = chosen.column(evidence.target)
    values = true_values(column, name=evidence.target, task=evidence.task) if len(column) else column.to_numpy()
    return LabelledRows(
        rows=found.rows,
        values=values,
        others=chosen.select(along),
        counts=found.counts,
        fingerprint=fingerprint,
    )
