"""Python values of a database driver to Arrow columns; must never depend on which rows share a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.types import join_types

if TYPE_CHECKING:
    import pyarrow as pa

_ONE = Decimal(1)
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

    Integers, and decimals without digits after the point, as of ``NUMERIC(20, 0)``, become int64; where one does not
    fit, decimal128 or decimal256, as in a Parquet file: ids keep all their digits, up to 76 of them. Decimals with
    digits after the point, also ``5.00``, become float64, which keeps 15 digits, as do not-a-number and what stands in
    one column with those. A key with such digits needs a cast to text in the query.

    Instants become UTC. Times of day with a zone, JSON, arrays and whatever else the driver makes of its types become
    text, the instants in them in UTC, whatever zone the session has.

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

    kinds = frozenset(_kind_in(values, kind) for kind in set(map(type, values)) - {type(None)})
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


def _kind_in(values: Sequence[Any], kind: type) -> str:
    """Return the kind of the values of one type; of some types it is the values that tell."""
    if issubclass(kind, Decimal):
        return "integer" if all(_is_whole(value) for value in values if isinstance(value, Decimal)) else "float"
    if issubclass(kind, time) and any(value.tzinfo for value in values if isinstance(value, time)):
        return "text"  # Arrow has no times with a zone
    return _kind_of(kind)


def _is_whole(value: Decimal) -> bool:
    """Tell whether a decimal has no digits after the point, by how it is written: a column's type is to stay."""
    if value.same_quantum(_ONE):
        return True
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent > 0


def _integers(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    integers = [None if value is None else int(value) for value in values]
    for kind in (pa.int64(), pa.decimal128(38, 0), pa.decimal256(76, 0)):
        with suppress(OverflowError, pa.ArrowInvalid):
            return pa.array(integers, kind)
    return pa.array([None if value is None else _float(value) for value in integers], pa.float64())


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return float(Decimal(value))


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
        return json.dumps(value, sort_keys=True, default=_part_as_text)
    if isinstance(value, time) and value.tzinfo:
        return value.isoformat()
    if _kind_of(type(value)) == "text":
        return _part_as_text(value)
    return str(to_arrow([value], name="").cast(pa.string())[0].as_py())


def _part_as_text(value: Any) -> str:
    """Write what is no JSON; instants in UTC, because drivers give them the zone of the session."""
    bounds = [getattr(value, name, None) for name in ("lower", "upper")]
    if any(isinstance(one, datetime) and one.tzinfo for one in bounds):  # a range, of either driver of PostgreSQL
        first, last = map(_part_as_text, bounds)
        return f"{'[' if value.lower_inc else '('}{first}, {last}{']' if value.upper_inc else ')'}"
    return str(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value)


def _conversion(kind: str) -> tuple[Callable[[Any], Any], pa.DataType]:
    import pyarrow as pa

    conversions: dict[str, tuple[Callable[[Any], Any], pa.DataType]] = {
        "boolean": (bool, pa.bool_()),
        "float": (_float, pa.float64()),
        "text": (_as_text, pa.string()),
        "date": (_unchanged, pa.date32()),
        "time": (_unchanged, pa.time64("us")),
        "duration": (_unchanged, pa.duration("us")),
        "bytes": (bytes, pa.binary()),
    }
    return conversions[kind]


def _unchanged(value: Any) -> Any:
    return value
