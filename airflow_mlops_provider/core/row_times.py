"""When rows were scored or labelled, as numbers on one clock: UTC. A time without a zone is UTC, and is counted so.

It must never guess a local zone: what a wall clock showed twice in a night of autumn cannot be told apart later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_keys import plain

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_MICROSECOND = 1_000_000
_ZONE = r"([zZ]|[+-]\d\d:?(\d\d)?)\s*$"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowTimes:
    """A time for each row.

    Parameters
    ----------
    microseconds : int array, shape (n,)
        Since 1970 in UTC; 0 where not known.
    known : bool array, shape (n,)
        Whether the row has a time.
    naive : int
        Rows whose time has no zone.
    """

    microseconds: NDArray[np.int64]
    known: NDArray[np.bool_]
    naive: int


def microseconds_of(moment: datetime, *, days_before: float = 0.0) -> int:
    """Return an aware time, or the one some days before it, in microseconds since 1970.

    Examples
    --------
    >>> from datetime import UTC
    >>> microseconds_of(datetime(1970, 1, 3, tzinfo=UTC), days_before=1.5)
    43200000000
    """
    return round(moment.timestamp() * _MICROSECOND) - round(days_before * 86_400 * _MICROSECOND)


def row_times(column: pa.ChunkedArray, *, name: str) -> RowTimes:
    """Read times, dates, or text in ISO 8601.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Timestamps with or without zone, dates (midnight), or text; text that is no time counts as missing.
    name : str
        Of the column, for messages.

    Raises
    ------
    InputError
        The column holds something else, or not one time.

    Examples
    --------
    >>> import pyarrow as pa
    >>> found = row_times(pa.chunked_array([["1970-01-01T02:00:00+02:00", "1970-01-02", "soon"]]), name="at")
    >>> found.microseconds.tolist(), found.known.tolist(), found.naive
    ([0, 86400000000, 0], [True, True, False], 1)
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as t

    column = plain(column)
    naive = None
    if t.is_string(column.type) or t.is_large_string(column.type):
        column, naive = _parsed(column)
    elif t.is_date(column.type):
        column = column.cast(pa.timestamp("s")).cast(pa.timestamp("us"), safe=False)
    elif not t.is_timestamp(column.type):
        raise InputError(
            f"Column {name!r} must hold times; got {column.type}. Hint: timestamps with a zone, or text in ISO 8601."
        )
    known = np.asarray(column.is_valid().to_numpy(), dtype=bool)
    if len(known) and not known.any():
        raise InputError(f"Column {name!r} holds no time in any of its {len(known)} rows.")
    if naive is None:
        naive = 0 if column.type.tz else int(known.sum())
    numbers = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).fill_null(0)
    return RowTimes(microseconds=numbers.to_numpy().astype(np.int64), known=known, naive=naive)


def _parsed(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Return text as timestamps, null where it is none, and how many of these have no zone."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    # Text by text, so that one of year 9999 or of another form costs nothing but itself.
    found = pd.to_datetime(pd.Series(column.to_pylist(), dtype=object), utc=True, format="ISO8601", errors="coerce")
    utc = pa.array(found.dt.tz_convert(None).to_numpy()).cast(pa.timestamp("us"), safe=False)
    times = pa.chunked_array([utc.cast(pa.timestamp("us", "UTC"))])
    with_zone = pc.fill_null(pc.match_substring_regex(column, "T.*" + _ZONE), False)
    naive = pc.sum(pc.and_(times.is_valid(), pc.invert(with_zone))).as_py() or 0
    return times, int(naive)
