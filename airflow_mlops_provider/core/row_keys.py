"""Numbers rows by their keys, so that tables can be joined by arithmetic; must never show a key, which may be personal.

A key of several columns is missing where any part of it is, and a missing key belongs to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

MISSING = -1


def key_codes(tables: Sequence[pa.Table], *, keys: Sequence[str]) -> list[Ints]:
    """Give rows of several tables the same number where they have the same key.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        Each with all the keys.
    keys : sequence of str
        Names of columns, at least one.

    Returns
    -------
    list of int array
        For each table, a number from 0 for each row; -1 where a part of the key is null.

    Raises
    ------
    InputError
        A key has types in two tables that cannot be compared.

    Examples
    --------
    >>> import pyarrow as pa
    >>> left, right = pa.table({"id": [7, 8, None]}), pa.table({"id": [8, 7]})
    >>> [codes.tolist() for codes in key_codes([left, right], keys=["id"])]
    [[0, 1, -1], [1, 0]]
    """
    import numpy as np

    codes = _codes([_aligned(tables, key) for key in keys])
    ends = np.cumsum([one.num_rows for one in tables])
    return [part.copy() for part in np.split(codes, ends[:-1])]


def value_codes(columns: Sequence[pa.ChunkedArray]) -> Ints:
    """Give the rows of a table the same number where these columns hold the same, null and NaN being values too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for column in columns:
        parts += [column, pc.is_null(column)]
    # A null would make the whole row missing; beside the mask of nulls any filler will do.
    return _codes([pa.chunked_array(one.chunks, one.type) for one in parts], missing=0)


def _codes(columns: Sequence[pa.ChunkedArray], *, missing: int = MISSING) -> Ints:
    import numpy as np

    codes: Ints | None = None
    for column in columns:
        encoded = column.combine_chunks().dictionary_encode()
        own = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        if missing != MISSING:
            own = np.maximum(own, missing)
        if codes is None:
            codes = own
            continue
        nowhere = (codes < 0) | (own < 0)
        # Numbered anew after each column, so that the product cannot overflow.
        codes = np.unique(codes * (own.max(initial=0) + 1) + own, return_inverse=True)[1].astype(np.int64)
        codes[nowhere] = MISSING
    assert codes is not None  # noqa: S101 - at least one column is the caller's condition
    return codes


def _aligned(tables: Sequence[pa.Table], key: str) -> pa.ChunkedArray:
    """Return the column of all tables below each other, in one type."""
    import pyarrow as pa
    import pyarrow.types as t

    columns = [plain(table.column(key)) for table in tables]
    kinds = [one.type for one in columns if not t.is_null(one.type)]
    wanted = _common_type(list(dict.fromkeys(kinds)))
    if wanted is None:
        raise InputError(
            f"Key {key!r} has types that cannot be compared: {' and '.join(dict.fromkeys(map(str, kinds)))}. "
            "Hint: write it with one type on both sides; 007 as text is not 7 as a number."
        )
    try:
        chunks = [chunk for one in columns for chunk in one.cast(wanted).chunks]
    except pa.ArrowInvalid as error:
        raise InputError(f"Key {key!r} cannot be read as {wanted} on both sides: {error}.") from error
    return pa.chunked_array(chunks, wanted)


def _common_type(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    import pyarrow as pa
    import pyarrow.types as t

    if not kinds:
        return pa.int64()
    if all(t.is_string(one) or t.is_large_string(one) for one in kinds):
        # Offsets of 64 bits, because all tables' texts end up in one array.
        return pa.large_string()
    if len(kinds) == 1:
        return kinds[0]
    if all(t.is_integer(one) for one in kinds):
        return pa.int64()
    if all(t.is_timestamp(one) or t.is_date(one) for one in kinds):
        return pa.timestamp("us", tz="UTC")
    return None


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionary."""
    import pyarrow.types as t

    return column.cast(column.type.value_type) if t.is_dictionary(column.type) else column
