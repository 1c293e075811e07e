"""Python values of a database driver to Arrow columns; must never depend on which rows share a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.types import join_types

if TYPE_CHECKING:
    import pyarrow as pa

# In this order, because bool is an Integral and datetime a date.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (Integral, "integer"),
    ((Real, Decimal), "float"),
    (str, "text"),
    (datetime, "timestamp"),
    (date, "date"),
    (time, "time"),
    (timedelta, "duration"),
    ((bytes, bytearray, memoryview), "bytes"),
)
# Kinds that meet in one column and the kind that holds both; all other meetings are text, as in a CSV file.
_JOINED = MappingProxyType(
    {
        frozenset({"integer", "float"}): "float",
        frozenset({"date", "timestamp"}): "timestamp",
    }
)


def to_arrow(values: Sequence[Any], *, name: str) -> pa.Array:
    """Give the values of one column an Arrow type.

    Decimals become float64, instants UTC, JSON and whatever else the driver makes of its types text.

    Parameters
    ----------
    values : sequence
        As the driver returned them; None is null.
    name : str
        Of the column, for messages.

    Returns
    -------
    pyarrow.Array
        Null type when every value is None.

    Raises
    ------
    InputError
        Bytes meet other values, or times with a zone meet times without one.

    Examples
    --------
    >>> from decimal import Decimal
    >>> to_arrow([1, None, Decimal("2.5")], name="price").to_pylist()
    [1.0, None, 2.5]
    """
    import pyarrow as pa

    kinds = frozenset(_kind_of(kind) for kind in set(map(type, values)) - {type(None)})
    if not kinds:
        return pa.nulls(len(values))
    if "bytes" in kinds and len(kinds) > 1:
        raise _mixes_bytes(name)
    kind = next(iter(kinds)) if len(kinds) == 1 else _JOINED.get(kinds, "text")
    if kind == "integer":
        return _integers(values)
    if kind == "timestamp":
        return _timestamps(values, name)
    convert, arrow_type = _conversion(kind)
    return pa.array([None if value is None else convert(value) for value in values], arrow_type)


def join_columns(first: pa.DataType, second: pa.DataType, *, name: str) -> pa.DataType:
    """Join the types of one column in two batches, by the same rules as `to_arrow` joins values in one."""
    import pyarrow as pa
    import pyarrow.types as types

    joined = join_types(first, second)
    if joined is not None:
        return joined
    if pa.binary() in (first, second):
        raise _mixes_bytes(name)
    if all(types.is_timestamp(kind) or types.is_date(kind) for kind in (first, second)):
        raise _mixes_zones(name)
    # SQLite decides types by value and not by column.
    return pa.string()


def _mixes_bytes(name: str) -> InputError:
    return InputError(f"Column {name!r} of the query mixes bytes with other values. Hint: cast it in the query.")


def _mixes_zones(name: str) -> InputError:
    return InputError(f"Column {name!r} of the query mixes times with and without zone. Hint: cast it in the query.")


def _kind_of(kind: type) -> str:
    return next((name for types, name in _KINDS if issubclass(kind, types)), "text")


def _integers(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    integers = [None if value is None else int(value) for value in values]
    try:
        return pa.array(integers, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array([None if value is None else float(value) for value in integers], pa.float64())


def _timestamps(values: Sequence[Any], name: str) -> pa.Array:
    import pyarrow as pa

    moments = [
        value if value is None or isinstance(value, datetime) else datetime.combine(value, time()) for value in values
    ]
    zoned = {moment.tzinfo is not None for moment in moments if moment is not None}
    if len(zoned) == 2:
        raise _mixes_zones(name)
    if True not in zoned:
        return pa.array(moments, pa.timestamp("us"))
    return pa.array([m and m.astimezone(UTC) for m in moments], pa.timestamp("us", tz="UTC"))


def _as_text(value: Any) -> str:
    """Write a value as Arrow's casts do, so that it reads the same wherever the column's first text stands."""
    import pyarrow as pa

    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=str)
    if _kind_of(type(value)) == "text":
        return str(value)
    return str(to_arrow([value], name="").cast(pa.string())[0].as_py())


def _conversion(kind: str) -> tuple[Callable[[Any], Any], pa.DataType]:
    import pyarrow as pa

    conversions: dict[str, tuple[Callable[[Any], Any], pa.DataType]] = {
        "boolean": (bool, pa.bool_()),
        "float": (float, pa.float64()),
        "text": (_as_text, pa.string()),
        "date": (_unchanged, pa.date32()),
        "time": (_unchanged, pa.time64("us")),
        "duration": (_unchanged, pa.duration("us")),
        "bytes": (bytes, pa.binary()),
    }
    return conversions[kind]


def _unchanged(value: Any) -> Any:
    return value
