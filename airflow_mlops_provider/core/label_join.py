"""Which label belongs to which scored row; knows what was known at a given time, and never takes one of two answers.

Labels arrive late, twice, corrected, for rows nobody scored, or stamped by a clock that is ahead. Each of these is
counted, and none is silently believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError, NoLabelError
from airflow_mlops_provider.core.row_keys import MISSING, key_codes, plain, value_codes
from airflow_mlops_provider.core.row_times import RowTimes, microseconds_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """How many labels went where.

    Parameters
    ----------
    labels : int
        Rows of the table of labels.
    empty : int
        Without a value: not known yet.
    without_key : int
        Whose they are is not said.
    without_time, future : int
        With a column of times: those without, and those after the given time; neither was known then.
    naive_times : int
        Read as UTC, because their time has no zone.
    repeated : int
        Copies of another label of the same key.
    corrected : int
        Replaced by a later one of the same key.
    unknown : int
        Of keys that nobody scored.
    beside : int
        Of rows that were scored but are not of the window: younger or older ones, or of another version.
    joined : int
        Rows of the window that have a label.
    """

    labels: int = 0
    empty: int = 0
    without_key: int = 0
    without_time: int = 0
    future: int = 0
    naive_times: int = 0
    repeated: int = 0
    corrected: int = 0
    unknown: int = 0
    beside: int = 0
    joined: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """Rows with their labels.

    Parameters
    ----------
    rows, labels : int array, shape (n,)
        Positions in the scored table, ascending, and in that of the labels.
    counts : LabelCounts
        Of all labels.
    """

    rows: Ints
    labels: Ints
    counts: LabelCounts


def match_labels(
    scored: pa.Table,
    labels: pa.Table,
    *,
    keys: Sequence[str],
    target: str,
    positions: Ints | None = None,
    times: RowTimes | None = None,
    now: datetime | None = None,
) -> Matched:
    """Find the label of each row.

    Parameters
    ----------
    scored : pyarrow.Table
        All rows that were scored, with the keys.
    labels : pyarrow.Table
        Keys and target.
    keys : sequence of str
        Columns that name a row, at least one.
    target : str
        Column with the labels.
    positions : int array, optional
        Rows of `scored` that are wanted; default all.
    times : RowTimes, optional
        When each label became known; with these, the latest one of a key counts.
    now : datetime, optional
        With `times`: labels after it were not known.

    Raises
    ------
    NoLabelError
        No label belongs to any scored row, although rows are wanted.
    InputError
        A key has two different labels of which neither is the later one, or the keys cannot be compared.

    Examples
    --------
    >>> import pyarrow as pa
    >>> scored = pa.table({"id": [1, 2, 3]})
    >>> labels = pa.table({"id": [3, 1, 9, 1], "y": ["a", "b", "a", "b"]})
    >>> found = match_labels(scored, labels, keys=["id"], target="y")
    >>> found.rows.tolist(), found.labels.tolist(), found.counts.unknown, found.counts.repeated
    ([0, 2], [1, 0], 1, 1)
    """
    import numpy as np

    wanted = np.arange(scored.num_rows) if positions is None else positions
    ours, theirs = key_codes([scored, labels], keys=keys)
    usable, counts = _usable(labels.column(target), theirs, times, now)
    kept, copies = _one_per_key(labels, theirs, usable, target=target, keys=keys, times=times)
    label_of = np.full(max(ours.max(initial=-1), theirs.max(initial=-1)) + 2, MISSING)
    label_of[theirs[kept]] = kept
    # The last place is that of rows without key, which nothing fills.
    found = label_of[ours[wanted]]
    is_scored = np.isin(theirs[kept], ours)
    has = found != MISSING
    if len(wanted) and len(kept) and not is_scored.any():
        raise NoLabelError(
            f"No label belongs to any of the scored rows: {len(kept)} labels, {len(wanted)} rows. "
            f"Hint: do both hold the keys {list(keys)}, written in the same way?"
        )
    joined = int(np.isin(theirs[kept], ours[wanted]).sum())
    return Matched(
        rows=wanted[has],
        labels=found[has],
        counts=LabelCounts(
            labels=labels.num_rows,
            unknown=int((~is_scored).sum()),
            beside=int(is_scored.sum()) - joined,
            joined=int(has.sum()),
            **counts,
            **copies,
        ),
    )


def _usable(
    target: pa.ChunkedArray, codes: Ints, times: RowTimes | None, now: datetime | None
) -> tuple[Bools, dict[str, int]]:
    """Tell which labels were known, and count the others once each."""
    import numpy as np
    import pyarrow.compute as pc

    is_empty = np.asarray(pc.is_null(plain(target), nan_is_null=True).to_numpy(), dtype=bool)
    usable = ~is_empty & (codes != MISSING)
    counts = {"empty": int(is_empty.sum()), "without_key": int((~is_empty & (codes == MISSING)).sum())}
    if times is not None:
        is_future = times.known & (times.microseconds > microseconds_of(now)) if now else np.zeros_like(usable)
        counts |= {
            "without_time": int((usable & ~times.known).sum()),
            "future": int((usable & is_future).sum()),
            "naive_times": times.naive,
        }
        usable &= times.known & ~is_future
    return usable, counts


def _one_per_key(
    labels: pa.Table, codes: Ints, usable: Bools, *, target: str, keys: Sequence[str], times: RowTimes | None
) -> tuple[Ints, dict[str, int]]:
    """Keep one label of each key: the latest where there are times, else the one that all of them say."""
    import numpy as np

    rows = np.flatnonzero(usable)
    moments = np.zeros(len(codes), dtype=np.int64) if times is None else times.microseconds
    order = rows[np.lexsort((rows, -moments[rows], codes[rows]))]
    first = np.ones(len(order), dtype=bool)
    first[1:] = codes[order[1:]] != codes[order[:-1]]
    leader = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))] if len(order) else order
    values = value_codes([plain(labels.column(target))])
    same_time = ~first & (moments[order] == moments[leader])
    differing = same_time & (values[order] != values[leader])
    if differing.any():
        raise InputError(
            f"{len(np.unique(codes[order[differing]]))} keys in {list(keys)} have two different labels "
            f"in {target!r}{' at the same time' if times is not None else ''}, and which is true is not known. "
            "Hint: name the column that says when a label became known, so that the latest counts, or clean them."
        )
    copies = {"repeated": int(same_time.sum()), "corrected": int((~first & ~same_time).sum())}
    return order[first], copies
