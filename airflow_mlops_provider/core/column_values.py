"""What a column holds, by its Arrow type, and its values as numbers; must never depend on how they are stored.

Integers, floats and decimals are one kind, so that a column that changes between them stays comparable. Moments and
durations become microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

# "datetimetz" are instants, "datetime" and dates are local times; pandas calls them so. "null" goes with any kind.
Kind = Literal[
    "numeric", "boolean", "text", "datetime", "datetimetz", "time", "duration", "null", "mixed", "unsupported"
]

NUMBER_KINDS: frozenset[Kind] = frozenset({"numeric", "datetime", "datetimetz", "time", "duration"})
CATEGORY_KINDS: frozenset[Kind] = frozenset({"text", "boolean"})

_TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MICROS_PER_DAY = 86_400 * 10**6


def kind_of(kind: pa.DataType) -> Kind:
    """Return what a column of this type holds.

    Parameters
    ----------
    kind : pyarrow.DataType
        Any type.

    Returns
    -------
    Kind
        ``"unsupported"`` for nested types, bytes and whatever else has no order or names.

    Examples
    --------
    >>> import pyarrow as pa
    >>> kind_of(pa.decimal128(10, 2)), kind_of(pa.dictionary(pa.int32(), pa.string())), kind_of(pa.list_(pa.int8()))
    ('numeric', 'text', 'unsupported')
    """
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(kind, pa.BaseExtensionType):
        return kind_of(kind.storage_type)
    if types.is_dictionary(kind):
        return kind_of(kind.value_type)
    if types.is_timestamp(kind):
        return "datetime" if kind.tz is None else "datetimetz"
    known: tuple[tuple[Any, Kind], ...] = (
        (types.is_null, "null"),
        (types.is_boolean, "boolean"),
        (lambda t: types.is_integer(t) or types.is_floating(t) or types.is_decimal(t), "numeric"),
        (lambda t: types.is_string(t) or types.is_large_string(t) or types.is_string_view(t), "text"),
        (types.is_date, "datetime"),
        (types.is_time, "time"),
        (types.is_duration, "duration"),
    )
    return next((name for belongs, name in known if belongs(kind)), "unsupported")


def type_name(kind: pa.DataType) -> str:
    """Return the name of a type, of a dictionary that of its values."""
    import pyarrow.types as types

    return str(kind.value_type if types.is_dictionary(kind) else kind)


def is_whole(kind: pa.DataType) -> bool:
    """Tell whether the type is one of the integers."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return is_whole(kind.value_type)
    return bool(types.is_integer(kind))


def plain(array: pa.Array) -> pa.Array:
    """Return the array without extension type; without dictionary, unless it holds text; decimals as decimal128."""
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray) and kind_of(array.type.value_type) != "text":
        # By position: Arrow casts no dictionary of nested values.
        array = array.dictionary.take(array.indices)
    kind = array.type
    if types.is_decimal(kind) and kind.bit_width < 128:
        # Arrow counts and prints no narrower ones.
        array = array.cast(pa.decimal128(kind.precision, kind.scale))
    return array


def integers_of(array: pa.Array) -> npt.NDArray[Any]:
    """Return an integer array without nulls in its own width, as a view where possible."""
    import numpy as np

    return _buffer_of(array, np.dtype(str(array.type)))


def positions_array(positions: npt.NDArray[np.int64]) -> pa.Int64Array:
    """Return positions as Arrow; not by ``pa.array``, which imports pandas."""
    import numpy as np
    import pyarrow as pa

    content = np.ascontiguousarray(positions, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(content), [None, pa.py_buffer(content)])


def texts_array(texts: Sequence[str]) -> pa.LargeStringArray:
    """Return texts as Arrow; not by ``pa.array``, which imports pandas."""
    import numpy as np
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def numbers_of(array: pa.Array) -> npt.NDArray[np.float64]:
    """Return the values of a numeric or temporal array without nulls as float64.

    Parameters
    ----------
    array : pyarrow.Array
        Of a kind in `NUMBER_KINDS`, plain and without nulls.

    Returns
    -------
    float64 array, shape (n,)
        Numbers rounded to float64 (integers beyond 2**53 lose their last digits), decimals rounded right. Timestamps
        and dates are microseconds since 1970, UTC where they have a zone; times are microseconds since midnight and
        durations microseconds. Nanoseconds are rounded down.
    """
    import pyarrow as pa
    import pyarrow.types as types

    kind = array.type
    if types.is_decimal(kind):
        # By text, because the direct cast is one unit in the last place off for some values.
        array = array.cast(pa.string())
    if kind_of(kind) == "numeric":
        # Not safe: integers beyond 2**53 are to be rounded.
        return _float64_of(array.cast(pa.float64(), safe=False))
    return _micros_of(array)


def decimals_of(array: pa.Array) -> npt.NDArray[np.float64]:
    """Return the same as `numbers_of`, except that a float32 becomes the float64 that is written alike.

    So 9.99 is the same value in a column of float32 and in one of float64; widening gives 9.989999771118164.
    """
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_float16(array.type) or types.is_float32(array.type):
        array = array.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    return numbers_of(array)


def _micros_of(array: pa.Array) -> npt.NDArray[np.float64]:
    import numpy as np
    import pyarrow.types as types

    kind = array.type
    narrow = types.is_date32(kind) or types.is_time32(kind)
    ticks = _buffer_of(array, np.dtype(np.int32 if narrow else np.int64))
    if types.is_date32(kind):
        return ticks.astype(np.float64) * _MICROS_PER_DAY
    per_second = 1000 if types.is_date64(kind) else _TICKS_PER_SECOND[kind.unit]
    if per_second == 10**9:
        return (ticks // 1000).astype(np.float64)
    return ticks.astype(np.float64) * (10**6 // per_second)


def _float64_of(array: pa.Array) -> npt.NDArray[np.float64]:
    import numpy as np

    return _buffer_of(array, np.dtype(np.float64))


def _buffer_of(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """View the values as NumPy; not by ``to_numpy``, which imports pandas."""
    import numpy as np

    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype=dtype)[array.offset : array.offset + len(array)]
