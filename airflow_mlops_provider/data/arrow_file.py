"""Reads one Arrow IPC file, which Feather version 2 is; must never hold more than a few of its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_mlops_provider.data.types import plain_fields

if TYPE_CHECKING:
    import pyarrow as pa


def scan(opener: Callable[[], pa.NativeFile]) -> tuple[pa.Schema, int]:
    """Return the schema and the number of rows; the batches are visited, without their columns."""
    import pyarrow as pa

    with opener() as stream:
        schema = pa.ipc.open_file(stream).schema
    first = [schema.names[0]] if len(schema) else []
    n_rows = sum(batch.num_rows for batch in _read(opener, first)) if first else 0
    return plain_fields(schema), n_rows


def batches(opener: Callable[[], pa.NativeFile], fields: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read the columns wanted; `batch_rows` is left to the caller, who can slice without a copy."""
    return _read(opener, fields.names)


def _read(opener: Callable[[], pa.NativeFile], names: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with opener() as stream:
        positions = [pa.ipc.open_file(stream).schema.names.index(name) for name in names]
        stream.seek(0)
        file = pa.ipc.open_file(stream, options=pa.ipc.IpcReadOptions(included_fields=positions))
        for i in range(file.num_record_batches):
            yield file.get_batch(i)
