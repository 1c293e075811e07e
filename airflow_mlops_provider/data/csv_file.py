"""Reads one CSV file in UTF-8 with types that hold for all of its rows; must never guess from its beginning only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.types import join_types

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv

# The first block decides the types that the first pass tries, so that a larger one means fewer passes.
_BLOCK_BYTES = 1 << 22
_CONVERSION = re.compile(r"In CSV column #(\d+): .*?CSV conversion error to [^:]+: (.*)", re.DOTALL)
_INVALID_VALUE = re.compile(r"invalid value '(.*)'", re.DOTALL)
_WRONG_WIDTH = re.compile(r"CSV parse error: (?:Row #(\d+): )?Expected (\d+) columns, got (\d+)")


def scan(opener: Callable[[], pa.NativeFile]) -> tuple[pa.Schema, int]:
    """Read the whole file for its types and number of rows.

    The reader fixes each column's type on the first block. A value that does not fit widens its column (integer to
    float, date to timestamp, both to text) and the pass starts again, which at most a few columns of a file need.
    """
    import pyarrow as pa

    names, guessed = _read_header(opener)
    types: dict[str, pa.DataType] = {}
    while True:
        try:
            with _open(opener, types) as reader:
                n_rows = sum(batch.num_rows for batch in reader)
                return _utf8_only(reader.schema), n_rows
        except pa.ArrowInvalid as error:
            match = _CONVERSION.match(str(error))
            if match is None:
                raise _explained(opener, error) from None  # the reader's text quotes rows
            name = names[int(match[1])]
            types[name] = _widened(name, types.get(name, guessed[name]), reason=match[2])


def batches(opener: Callable[[], pa.NativeFile], fields: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Convert the columns wanted to the types wanted; `batch_rows` is left to the caller, who can slice."""
    with _open(opener, {field.name: field.type for field in fields}, names=fields.names) as reader:
        yield from reader


def _read_header(opener: Callable[[], pa.NativeFile]) -> tuple[list[str], dict[str, pa.DataType]]:
    import pyarrow as pa

    with opener() as stream:
        start = stream.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError("It is a CSV file in UTF-16. Hint: convert it to UTF-8.")
    if not start:
        raise InputError("It is an empty CSV file, without even a header. Hint: check what wrote it.")
    try:
        with _open(opener, {}) as reader:
            schema = reader.schema
    except pa.ArrowInvalid as error:
        raise _explained(opener, error) from None  # the reader's text quotes rows
    return schema.names, dict(zip(schema.names, schema.types, strict=True))


def _open(
    opener: Callable[[], pa.NativeFile],
    types: Mapping[str, pa.DataType],
    *,
    names: list[str] | None = None,
    use_threads: bool = True,
) -> csv.CSVStreamingReader:
    from pyarrow import csv

    return csv.open_csv(
        opener(),
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=use_threads),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        # Empty text is missing, as it is to pandas.
        convert_options=csv.ConvertOptions(column_types=types, include_columns=names, strings_can_be_null=True),
    )


def _utf8_only(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    for field in schema:
        if field.type == pa.binary():
            raise _not_utf8(field.name)
    return schema


def _not_utf8(name: str) -> InputError:
    return InputError(f"Column {name!r} of the CSV file is not in UTF-8. Hint: convert it, for example from latin-1.")


def _widened(name: str, current: pa.DataType, *, reason: str) -> pa.DataType:
    """Find the type that holds the column so far and the value at which the reader stopped."""
    import pyarrow as pa
    from pyarrow import csv

    if current == pa.string():
        raise _not_utf8(name)
    match = _INVALID_VALUE.fullmatch(reason)
    if match is None:
        return pa.string()
    quoted = '"' + match[1].replace('"', '""') + '"'
    lone = csv.read_csv(
        pa.BufferReader(f"x\n{quoted}\n".encode()), parse_options=csv.ParseOptions(newlines_in_values=True)
    )
    joined = join_types(current, lone.schema.field("x").type)
    return pa.string() if joined is None or joined == current else joined


def _explained(opener: Callable[[], pa.NativeFile], error: pa.ArrowInvalid) -> InputError:
    """Say what is wrong without the row itself, whose values must not reach the log."""
    import pyarrow as pa

    message = str(error)
    if "straddling" in message:
        return InputError(
            f"A row of the CSV file is longer than {_BLOCK_BYTES} bytes. Hint: look for an unclosed quote."
        )
    if "Empty CSV" in message:
        return InputError("It is an empty CSV file, or its first quote is never closed. Hint: check what wrote it.")
    match = _WRONG_WIDTH.search(message)
    if match is None:
        return InputError(f"The CSV file cannot be parsed: {message[:200]}")
    if match[1] is None:
        # Only the single-threaded reader counts rows.
        try:
            with _open(opener, {}, names=[], use_threads=False) as reader:
                for _ in reader:
                    pass
        except pa.ArrowInvalid as located:
            match = _WRONG_WIDTH.search(str(located)) or match
    where = f"Row {match[1]} (the header is row 1)" if match[1] else "A row"
    return InputError(
        f"{where} of the CSV file has {match[3]} values, the header has {match[2]}. Hint: quote its commas."
    )
