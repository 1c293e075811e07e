"""Reads one Parquet file page by page; must never hold a whole row group, which may be the whole file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_mlops_provider.data.types import plain_fields

if TYPE_CHECKING:
    import pyarrow as pa

# Where pandas puts an unnamed index, which is no column of the user's.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")

# Of each column chunk that is being read: enough on a disk, where a read costs little.
_DISK_BUFFER_BYTES = 1 << 16
# Where each read is a request, as few as memory allows: of all column chunks together, and of one at most.
_ALL_BUFFERS_BYTES, _BUFFER_BYTES = 1 << 25, 1 << 22


def scan(opener: Callable[[], pa.NativeFile]) -> tuple[pa.Schema, int]:
    """Return the schema and the number of rows, from the footer."""
    import pyarrow.parquet as pq

    with opener() as stream:
        file = pq.ParquetFile(stream)
        schema = file.schema_arrow
        index = [name for name in schema.names if _PANDAS_INDEX.fullmatch(name)]
        return plain_fields(schema, leave_out=index), file.metadata.num_rows


def batches(opener: Callable[[], pa.NativeFile], fields: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Decode the columns wanted and no others; text stays in its dictionary where one is wanted."""
    import pyarrow.parquet as pq
    import pyarrow.types as types

    encoded = [field.name for field in fields if types.is_dictionary(field.type)]
    with opener() as stream:
        # Otherwise all column chunks of a row group are in memory at once: 300 MB instead of 100 for 1M x 37.
        file = pq.ParquetFile(
            stream, read_dictionary=encoded, pre_buffer=False, buffer_size=_buffer_bytes(stream, len(fields))
        )
        yield from file.iter_batches(batch_size=batch_rows, columns=fields.names)


def _buffer_bytes(stream: pa.NativeFile, columns: int) -> int:
    import pyarrow as pa

    if isinstance(stream, pa.OSFile):
        return _DISK_BUFFER_BYTES
    return max(_DISK_BUFFER_BYTES, min(_BUFFER_BYTES, _ALL_BUFFERS_BYTES // columns))
