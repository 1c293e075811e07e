"""Counts what the preconditions ask about, in one pass over Arrow batches.

Memory stays constant over the rows except for the key columns when `unique` is asked for. Only counts and the newest
time leave this module, never a value of the data, not even inside an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.preconditions import ColumnFacts, ColumnKind, PreconditionPolicy, TableFacts

if TYPE_CHECKING:
    import pyarrow as pa


def count_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch], policy: PreconditionPolicy) -> TableFacts:
    """Count rows, missing values, repeated keys and the newest time.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the whole table.
    batches : iterable of pyarrow.RecordBatch
        All of its rows, each read once.
    policy : PreconditionPolicy
        Says which columns are the key and the time stamp; columns it names in vain are not counted here.

    Returns
    -------
    TableFacts
        Missing means null, or NaN in a column of floating-point numbers.

    Raises
    ------
    InputError
        Two columns have one name, or the key or the time stamp has a type that cannot be used.
    """
    names = list(schema.names)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"Column names must be unique; found more than once: {', '.join(map(repr, twice))}.")
    missing = dict.fromkeys(names, 0)
    keys = [name for name in policy.unique if name in missing]
    stamp = policy.timestamp_column if policy.timestamp_column in missing else None
    key_tables: list[pa.Table] = []
    rows, newest = 0, None
    for batch in batches:
        rows += batch.num_rows
        for name in names:
            missing[name] += _missing(batch.column(name))
        if stamp is not None:
            newest = _later(newest, _newest(batch.column(stamp), stamp))
        if keys and len(keys) == len(policy.unique):
            key_tables.append(_key_table(batch, keys))
    null_keys, duplicate_keys = _repeated(key_tables, rows)
    return TableFacts(
        rows=rows,
        columns=tuple(
            ColumnFacts(
                name=field.name, kind=kind_of(field.type), type_name=str(field.type), missing=missing[field.name]
            )
            for field in schema
        ),
        null_keys=null_keys,
        duplicate_keys=duplicate_keys,
        newest=None if newest is None else aware(newest, policy),
    )


def kind_of(arrow_type: pa.DataType) -> ColumnKind:
    """Return the kind of an Arrow type; a dictionary is of the kind of its values."""
    import pyarrow.types as is_

    if is_.is_dictionary(arrow_type):
        return kind_of(arrow_type.value_type)
    kinds: tuple[tuple[ColumnKind, tuple[Any, ...]], ...] = (
        ("boolean", (is_.is_boolean,)),
        ("integer", (is_.is_integer,)),
        ("number", (is_.is_floating, is_.is_decimal)),
        ("string", (is_.is_string, is_.is_large_string, is_.is_string_view)),
        ("datetime", (is_.is_timestamp, is_.is_date)),
        ("null", (is_.is_null,)),
    )
    return next((kind for kind, tests in kinds if any(test(arrow_type) for test in tests)), "other")


def aware(moment: datetime, policy: PreconditionPolicy) -> datetime:
    """Return `moment` with a time zone, taken from the policy when it carries none itself.

    In the hour that a zone repeats in autumn the earlier reading is taken.
    """
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if policy.timestamp_timezone is None:
        raise InputError(
            f"Times in column {policy.timestamp_column!r} carry no time zone, so their age is unknown. "
            "Hint: set timestamp_timezone, for example 'UTC'."
        )
    try:
        return moment.replace(tzinfo=ZoneInfo(policy.timestamp_timezone)).astimezone(UTC)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            f"timestamp_timezone must be an IANA time zone; got {policy.timestamp_timezone!r}. "
            "Hint: for example 'Europe/Berlin'."
        ) from error


def _missing(column: pa.Array) -> int:
    import pyarrow.compute as pc
    import pyarrow.types as is_

    if is_.is_floating(column.type):
        return int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
    return int(column.null_count)


def _newest(column: pa.Array, name: str) -> datetime | None:
    import pyarrow.compute as pc
    import pyarrow.types as is_

    kind = kind_of(column.type)
    if kind == "null":
        return None
    if kind == "string":
        column = _parsed(column, name)
    elif kind != "datetime":
        raise InputError(
            f"timestamp_column {name!r} must hold times; it is of type {column.type}. Hint: name another column."
        )
    if is_.is_timestamp(column.type):
        # Python's datetime ends at microseconds, so a finer time would be refused by as_py().
        column = column.cast(_microseconds(column.type), safe=False)
    value = pc.max(column).as_py()
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value  # type: ignore[no-any-return]  # pyarrow has no types


def _parsed(column: pa.Array, name: str) -> pa.Array:
    """Read text in ISO 8601, all with or all without an offset."""
    import pyarrow as pa

    for zone in (None, "UTC"):
        try:
            return column.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
    raise InputError(
        f"timestamp_column {name!r} is text that is not ISO 8601 throughout. "
        "Hint: write times like 2026-01-31T12:00:00Z, or store them as timestamps."
    ) from None


def _microseconds(arrow_type: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.timestamp("us", arrow_type.tz)


def _later(left: datetime | None, right: datetime | None) -> datetime | None:
    return max(left, right) if left is not None and right is not None else left or right


def _key_table(batch: pa.RecordBatch, keys: list[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.types as is_

    columns = {}
    for name in keys:
        column = batch.column(name)
        columns[name] = column.dictionary_decode() if is_.is_dictionary(column.type) else column
    return pa.table(columns)


def _repeated(key_tables: list[pa.Table], rows: int) -> tuple[int, int]:
    """Return the rows with a null in the key, and the rows whose key an earlier row has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not key_tables:
        return 0, 0
    table = pa.concat_tables(key_tables)
    whole = pc.is_valid(table.column(0))
    for column in table.columns:
        whole = pc.and_(whole, pc.invert(pc.is_null(column, nan_is_null=True)))
    table = table.filter(whole)
    try:
        distinct = table.group_by(table.column_names, use_threads=False).aggregate([]).num_rows
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"Columns of unique must be scalars; got {table.schema.types}.") from error
    return rows - table.num_rows, table.num_rows - distinct
