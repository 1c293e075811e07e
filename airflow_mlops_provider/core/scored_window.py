"""Which scored rows belong to a window and must have their labels by now; each row of the world counts once.

Labels that come early are not a fair sample of all: those who leave at once are known at once. So a row is judged only
when it is old enough that every label like its own should be known, and younger rows are left out, with label or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_keys import MISSING, key_codes, value_codes
from airflow_mlops_provider.core.row_times import RowTimes, microseconds_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCounts:
    """How many rows went where.

    Parameters
    ----------
    rows : int
        Scored by the version.
    without_time : int
        Left out: nobody knows how old they are.
    naive_times : int
        Read as UTC, because their time has no zone.
    later : int
        Scored after the end of the window; left out.
    immature : int
        Scored before its end, but too late for their labels to be known; left out.
    earlier : int
        Of windows before this one; left out.
    repeated : int
        Copies of a row, as overlapping files give them; one of each is kept.
    rescored : int
        Earlier scores of a row that was scored again; the latest one in the window is kept.
    without_key : int
        Kept, but no label can belong to them.
    kept : int
        Rows of the window.
    """

    rows: int
    without_time: int = 0
    naive_times: int = 0
    later: int = 0
    immature: int = 0
    earlier: int = 0
    repeated: int = 0
    rescored: int = 0
    without_key: int = 0
    kept: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredWindow:
    """The rows of a window.

    Parameters
    ----------
    positions : int array
        Of the rows in the table, ascending.
    counts : WindowCounts
        Of all rows.
    """

    positions: Ints
    counts: WindowCounts


def rows_of_window(
    table: pa.Table,
    *,
    times: RowTimes,
    end: datetime,
    keys: Sequence[str] = (),
    label_delay_days: float = 0.0,
    window_days: float | None = None,
) -> ScoredWindow:
    """Choose the rows of a window.

    Parameters
    ----------
    table : pyarrow.Table
        Keys, outputs and nothing else: two rows are copies when all columns and their times agree.
    times : RowTimes
        When each was scored.
    end : datetime
        End of the window, aware; it stands for "now".
    keys : sequence of str
        What a row is called; without any, each row is another.
    label_delay_days : float
        How old a row must be at the end of the window, at least 0.
    window_days : float, optional
        How long the window is; default all rows that are old enough.

    Returns
    -------
    ScoredWindow
        Rows scored in ``(end - delay - window, end - delay]``.

    Raises
    ------
    InputError
        One row has two different outputs of the same time.
    """
    import numpy as np

    last = microseconds_of(end, days_before=label_delay_days)
    is_later = times.known & (times.microseconds > microseconds_of(end))
    is_immature = times.known & (times.microseconds > last) & ~is_later
    is_in = times.known & (times.microseconds <= last)
    is_earlier = np.zeros(len(is_in), dtype=bool)
    if window_days is not None:
        is_earlier = is_in & (times.microseconds <= microseconds_of(end, days_before=label_delay_days + window_days))
        is_in &= ~is_earlier
    positions = np.flatnonzero(is_in)
    counts: dict[str, Any] = {}
    if keys:
        positions, counts = _once(table, times, positions, keys)
    return ScoredWindow(
        positions=positions,
        counts=WindowCounts(
            rows=table.num_rows,
            without_time=int((~times.known).sum()),
            naive_times=times.naive,
            later=int(is_later.sum()),
            immature=int(is_immature.sum()),
            earlier=int(is_earlier.sum()),
            kept=len(positions),
            **counts,
        ),
    )


def _once(table: pa.Table, times: RowTimes, positions: Ints, keys: Sequence[str]) -> tuple[Ints, dict[str, int]]:
    """Keep the latest row of each key, and those without."""
    import numpy as np

    part = table.take(positions)
    (codes,) = key_codes([part], keys=keys)
    moments = times.microseconds[positions]
    without = np.flatnonzero(codes == MISSING)
    named = np.flatnonzero(codes != MISSING)
    # Sorted by key, the latest first.
    order = named[np.lexsort((-moments[named], codes[named]))]
    first = np.ones(len(order), dtype=bool)
    first[1:] = codes[order[1:]] != codes[order[:-1]]
    leader = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))] if len(order) else order
    same_time = ~first & (moments[order] == moments[leader])
    if same_time.any():
        values = value_codes([part.column(name) for name in part.column_names])
        differing = int((same_time & (values[order] != values[leader])).sum())
        if differing:
            raise InputError(
                f"{differing} scored rows have the key {list(keys)} and the time of another row, but not its output: "
                "which of them was acted upon is not known. Hint: give each output once, and keys that name one row."
            )
    kept = np.sort(np.concatenate([order[first], without]))
    return positions[kept], {
        "repeated": int(same_time.sum()),
        "rescored": int((~first & ~same_time).sum()),
        "without_key": len(without),
    }
