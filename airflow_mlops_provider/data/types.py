"""One type for values that several files, blocks or batches call differently; must never lose a value silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.column_values import plain

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS = ("s", "ms", "us", "ns")


def join_types(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds the values of both, or None where only text would.

    Null gives way to anything, integers to wider integers and floats, dates to timestamps, dictionaries to their
    values. Numbers, booleans, text and bytes never mix.

    Parameters
    ----------
    first, second : pyarrow.DataType
        The types to join, in any order.

    Returns
    -------
    pyarrow.DataType or None
        The joined type.

    Examples
    --------
    >>> import pyarrow as pa
    >>> print(join_types(pa.int64(), pa.float32()), join_types(pa.int64(), pa.string()))
    double None
    """
    import pyarrow as pa
    import pyarrow.types as types

    if first == second:
        return first
    if types.is_dictionary(first) and not types.is_null(second):
        return join_types(first.value_type, second)
    if types.is_dictionary(second) and not types.is_null(first):
        return join_types(first, second.value_type)
    if _is_moment(first) and _is_moment(second):
        return _join_moments(first, second)
    if is_text(first) and is_text(second):
        return pa.large_string()
    if is_text(first) != is_text(second) and not types.is_null(first) and not types.is_null(second):
        return None
    if types.is_integer(first) and types.is_integer(second) and pa.uint64() in (first, second):
        # Arrow would choose int64, which does not hold the upper half.
        unsigned = types.is_unsigned_integer(first) and types.is_unsigned_integer(second)
        return pa.uint64() if unsigned else pa.float64()
    schemas = [pa.schema([("x", kind)]) for kind in (first, second)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def is_text(kind: pa.DataType) -> bool:
    """Tell whether the type is one of Arrow's text types."""
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_moment(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_date(kind) or types.is_timestamp(kind))


def _join_moments(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    import pyarrow as pa
    import pyarrow.types as types

    zones = [kind.tz if types.is_timestamp(kind) else None for kind in (first, second)]
    if (zones[0] is None) != (zones[1] is None):
        # Local times and instants do not compare.
        return None
    units = [kind.unit if types.is_timestamp(kind) else "s" for kind in (first, second)]
    finest = max(units, key=_UNITS.index)
    return pa.timestamp(finest, tz=zones[0] if zones[0] == zones[1] else "UTC")


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Give a batch the columns and types of the schema, which must hold its values.

    Raises
    ------
    pyarrow.ArrowInvalid
        A value does not fit, as a timestamp far from today in nanoseconds.
    """
    import pyarrow as pa

    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return pa.RecordBatch.from_arrays([cast(columns[field.name], field.type) for field in schema], schema=schema)


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast one array; the only changes of value allowed are the roundings of long integers and decimals to floats."""
    import pyarrow as pa
    import pyarrow.types as types

    if array.type == kind:
        return array
    if types.is_dictionary(kind):
        return _encoded(array, kind)
    if types.is_decimal(array.type) and types.is_floating(kind):
        # By text, because the direct cast is one unit in the last place off for some values.
        array = plain(array).cast(pa.string())
    return array.cast(kind, safe=not (types.is_integer(array.type) and types.is_floating(kind)))


def _encoded(array: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if not isinstance(array, pa.DictionaryArray):
        array = cast(array, kind.value_type).dictionary_encode()
    indices, values = array.indices.cast(kind.index_type), array.dictionary.cast(kind.value_type)
    return pa.DictionaryArray.from_arrays(indices, values, ordered=kind.ordered)


def with_dictionaries(schema: pa.Schema) -> pa.Schema:
    """Return the schema with dictionaries for its text."""
    import pyarrow as pa

    return pa.schema([(f.name, pa.dictionary(pa.int32(), f.type) if is_text(f.type) else f.type) for f in schema])


def plain_fields(schema: pa.Schema, *, leave_out: Sequence[str] = ()) -> pa.Schema:
    """Return names and types only, without the metadata and null flags in which writers differ.

    Text views, as Polars writes them, are plain text: few of Arrow's functions know them.
    """
    import pyarrow as pa

    return pa.schema([pa.field(f.name, _common(f.type)) for f in schema if f.name not in leave_out])


def _common(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _common(kind.value_type), kind.ordered)
    return {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(kind, kind)
