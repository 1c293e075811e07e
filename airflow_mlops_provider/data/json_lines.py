"""Reads one JSON-lines file with types that hold for all of its rows; must never hold more than a block of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.types import join_types

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 1 << 22
_CHANGED = re.compile(r"Column\(/(.*)\) changed from (\w+) to (\w+)")


def scan(opener: Callable[[], pa.NativeFile]) -> tuple[pa.Schema, int]:
    """Read the whole file for its types and number of rows."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {}
    n_rows = 0
    for first_line, block in _blocks(opener):
        table = _parse(block, first_line)
        n_rows += table.num_rows
        for field in table.schema:
            joined = join_types(types.get(field.name, pa.null()), field.type)
            if joined is None and _is_timestamp_text(types[field.name], field.type):
                joined = pa.string()
            if joined is None:
                raise InputError(
                    f"Column {field.name!r} of the JSON file holds both {types[field.name]} and {field.type} "
                    f"(from line {first_line} on). Hint: write one type."
                )
            types[field.name] = joined
    return pa.schema(list(types.items())), n_rows


def batches(opener: Callable[[], pa.NativeFile], fields: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Convert the columns wanted to the types wanted; `batch_rows` is left to the caller, who can slice."""
    for first_line, block in _blocks(opener):
        yield from _parse(block, first_line, fields).to_batches()


def _is_timestamp_text(first: pa.DataType, second: pa.DataType) -> bool:
    """Tell whether one is text and the other text that happened to look like times throughout a block."""
    import pyarrow.types as types

    kinds = {types.is_string(first), types.is_string(second)}
    return len(kinds) == 2 and (types.is_timestamp(first) or types.is_timestamp(second))


def _blocks(opener: Callable[[], pa.NativeFile]) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, each with the number of its first line."""
    with opener() as stream:
        first_line, rest = 1, b""
        while chunk := stream.read(_BLOCK_BYTES):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                yield first_line, whole + newline
                first_line += whole.count(b"\n") + 1
        if rest.strip():
            yield first_line, rest


def _parse(block: bytes, first_line: int, fields: pa.Schema | None = None) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json

    if not block.strip():
        return pa.table({})
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = first_line + block.count(b"\n", 0, error.start)
        raise InputError(f"Line {line} of the JSON file is not in UTF-8. Hint: convert it.") from None
    options = json.ParseOptions(
        explicit_schema=fields, unexpected_field_behavior="infer" if fields is None else "ignore"
    )
    read = json.ReadOptions(block_size=len(block) + 1)
    try:
        return json.read_json(pa.BufferReader(block), parse_options=options, read_options=read)
    except pa.ArrowInvalid as error:
        raise _explained(str(error), first_line) from None  # the reader's text quotes rows


def _explained(message: str, first_line: int) -> InputError:
    where = f"At or after line {first_line}, the JSON file"
    match = _CHANGED.search(message)
    if match and match[1]:
        return InputError(f"{where} holds both {match[2]} and {match[3]} in column {match[1]!r}. Hint: write one type.")
    found = message.removeprefix("JSON parse error: ").split(" in row ")[0][:200]
    return InputError(f"{where} does not have one object per line: {found}. Hint: check that it is whole.")
