"""The file formats that can be read, found by suffix; must never open a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data import arrow_file, csv_file, json_lines, parquet_file

if TYPE_CHECKING:
    import pyarrow as pa

    Opener = Callable[[], pa.NativeFile]

_PACKED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How one kind of file is read.

    Parameters
    ----------
    name : str
        Its name in messages.
    scan : callable
        From an opener to the file's schema and number of rows.
    batches : callable
        From an opener, the fields wanted (a schema) and the most rows in a batch to batches that hold those columns.
    mixed_is_text : bool
        Whether a column that is a number in one file and text in another is text, as where types are guessed.
    is_columnar : bool
        Whether one column can be read without the others.
    """

    name: str
    scan: Callable[[Opener], tuple[pa.Schema, int]]
    batches: Callable[[Opener, pa.Schema, int], Iterator[pa.RecordBatch]]
    mixed_is_text: bool = False
    is_columnar: bool = False


_CSV = Format(name="CSV", scan=csv_file.scan, batches=csv_file.batches, mixed_is_text=True)
_PARQUET = Format(name="Parquet", scan=parquet_file.scan, batches=parquet_file.batches, is_columnar=True)
_ARROW = Format(name="Feather", scan=arrow_file.scan, batches=arrow_file.batches, is_columnar=True)
_JSON_LINES = Format(name="JSON lines", scan=json_lines.scan, batches=json_lines.batches)

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".csv": _CSV,
        ".csv.gz": _CSV,
        ".parquet": _PARQUET,
        ".pq": _PARQUET,
        ".feather": _ARROW,
        ".arrow": _ARROW,
        ".jsonl": _JSON_LINES,
        ".jsonl.gz": _JSON_LINES,
        ".ndjson": _JSON_LINES,
        ".ndjson.gz": _JSON_LINES,
    }
)


def format_of(uri: str) -> Format:
    """Find the format of a file by its name.

    Raises
    ------
    InputError
        The suffix is not known.

    Examples
    --------
    >>> format_of("file:///data/churn.CSV.gz").name
    'CSV'
    """
    for suffix, found in FORMATS.items():
        if uri.lower().endswith(suffix):
            return found
    raise InputError(f"{uri} is of no known format. Hint: its name must end in one of {', '.join(FORMATS)}.")


def opener_of(uri: str, open_raw: Opener) -> Opener:
    """Wrap the opening of a file so that its bytes come unpacked."""
    if not uri.lower().endswith(".gz"):
        return open_raw

    def open_unpacked() -> pa.NativeFile:
        import pyarrow as pa

        # It asks for 64 KB at a time, each of which may be a request.
        return pa.CompressedInputStream(pa.BufferedInputStream(open_raw(), _PACKED_BYTES), "gzip")

    return open_unpacked
