"""Rows out to Parquet, all or nothing: whoever looks at the output's name finds a whole table or none.

What makes it so differs from storage to storage and is the part of `Staging`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.about_table import ABOUT, SUCCESS
from airflow_mlops_provider.data.file_entry import HIVE_NULL
from airflow_mlops_provider.data.local_output import storage_errors

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.data.output import Place

# Each is an open file, of which a process may usually have 1,024.
MAX_PARTITIONS = 500
# Of all partitions together, before the largest is written out as a row group.
_BUFFERED_ROWS = 1 << 19


class TableWriter(Protocol):
    """A table that is being written and that nobody sees before `publish`."""

    @property
    def uri(self) -> str:
        """Where the table will be."""

    def write(self, rows: pa.Table) -> None:
        """Append rows."""

    def publish(self) -> None:
        """Put the table in its place, in one step."""

    def close(self) -> None:
        """Remove what was not published."""


class ParquetWriter:
    """Writes one Parquet file, or a folder of them.

    Parameters
    ----------
    place : Place
        Where to. A name that ends in ``.parquet`` becomes one file, any other a folder with a ``_SUCCESS`` file.
    schema : pyarrow.Schema
        Of the rows.
    owner : str
        Key of the effect that this table is, the same for each try. Its earlier tries are cleaned away, and its
        earlier table is replaced.
    about : mapping
        Plain JSON values stored with the table; in the file's metadata, or in ``_SUCCESS``.
    partition_by : sequence of str, default ()
        Columns that become folders ``name=value``, in this order; the place must be a folder.
    overwrite : bool, default False
        Whether to replace a table of another owner.

    Raises
    ------
    InputError
        Something else is at the place, or it must not be written.
    OutageError
        The storage failed.
    """

    def __init__(
        self,
        place: Place,
        *,
        schema: pa.Schema,
        owner: str,
        about: Mapping[str, Any],
        partition_by: Sequence[str] = (),
        overwrite: bool = False,
    ) -> None:
        self.place = place
        self.rows = 0
        self._owner = owner
        self._overwrite = overwrite
        self._partition_by = tuple(partition_by)
        self._is_folder = not place.name.endswith(".parquet")
        if self._partition_by and not self._is_folder:
            raise InputError(
                f"partition_by makes a folder, but output {place.uri} is the name of a file. Hint: leave out .parquet."
            )
        self._about = json.dumps({"owner": owner, **about}, allow_nan=False)
        inside = [field for field in schema if field.name not in self._partition_by]
        self._schema = _with_about(inside, self._about)
        # Rows are written in another thread than the table is closed in, which may be at any moment.
        self._lock = RLock()
        self._is_closed = False
        self._files: dict[str, Any] = {}
        self._buffers: dict[str, list[pa.Table]] = {}
        place.check_free(owner=owner, overwrite=overwrite)
        self._staging = place.stage(owner=owner)
        if self._is_folder:
            with storage_errors(place.uri):
                self._staging.path.mkdir()

    @property
    def uri(self) -> str:
        """Where the table will be."""
        return self.place.uri

    def write(self, rows: pa.Table) -> None:
        """Append rows, which must have the columns of the schema."""
        with self._lock, storage_errors(self.uri):
            if self._is_closed:
                raise OutageError(f"Output {self.uri} was given up before all its rows were written.")
            if not self._partition_by:
                self._file("").write_table(_plain(rows, self._schema))
            else:
                for folder, part in self._split(rows):
                    self._buffers.setdefault(folder, []).append(_plain(part, self._schema))
                self._flush(down_to=_BUFFERED_ROWS)
            self.rows += rows.num_rows

    def publish(self) -> None:
        """Put the complete table in its place.

        Raises
        ------
        InputError
            Nothing was written, or something else came to be at the place meanwhile.
        OutageError
            The storage failed, or another try of the same task cleaned this one away.
        """
        if not self.rows:
            raise InputError(f"{self.uri} would be a table without rows; nothing was written.")
        self.place.check_free(owner=self._owner, overwrite=self._overwrite)
        with storage_errors(self.uri):
            self._flush(down_to=0)
            self._close_files()
            if self._is_folder:
                (self._staging.path / SUCCESS).write_text(self._about)
            self._staging.publish(overwrite=self._overwrite)

    def close(self) -> None:
        """Remove what was not published, after the rows that are just being written."""
        with self._lock:
            self._is_closed = True
            try:
                self._close_files()
            finally:
                self._staging.close()

    def _close_files(self) -> None:
        while self._files:
            self._files.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _file(self, folder: str) -> Any:
        import pyarrow.parquet as pq

        if folder not in self._files:
            if len(self._files) >= MAX_PARTITIONS:
                raise InputError(
                    f"partition_by {list(self._partition_by)} makes more than {MAX_PARTITIONS} partitions. "
                    "Hint: partition by columns with few values, such as a month instead of a time."
                )
            path = self._staging.path / folder / "part-00000.parquet" if self._is_folder else self._staging.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[folder] = pq.ParquetWriter(
                path, self._schema, compression="zstd", use_dictionary=_repeating(self._schema)
            )
        return self._files[folder]

    def _split(self, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        import pyarrow as pa

        keys = rows.select(self._partition_by).append_column("__row__", pa.array(range(rows.num_rows), pa.int64()))
        groups = keys.group_by(self._partition_by, use_threads=False).aggregate([("__row__", "list")]).to_pylist()
        for group in groups:
            folder = "/".join(f"{quote(name, safe='')}={_text(group[name])}" for name in self._partition_by)
            yield folder, rows.take(pa.array(group["__row___list"]))

    def _flush(self, *, down_to: int) -> None:
        """Write buffered partitions out, the largest first, until few rows are held."""
        import pyarrow as pa

        sizes = {folder: sum(part.num_rows for part in parts) for folder, parts in self._buffers.items()}
        held = sum(sizes.values())
        for folder in sorted(sizes, key=lambda name: (-sizes[name], name)):
            if held <= down_to:
                break
            self._file(folder).write_table(pa.concat_tables(self._buffers.pop(folder)))
            held -= sizes[folder]


def _with_about(fields: Sequence[pa.Field], about: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(fields, metadata={ABOUT: about.encode()})


def _repeating(schema: pa.Schema) -> list[str]:
    """Return the columns that are worth a dictionary: for numbers, trying one takes longer than writing them."""
    import pyarrow.types as types

    return [
        one.name
        for one in schema
        if not (types.is_integer(one.type) or types.is_floating(one.type) or types.is_nested(one.type))
    ]


def _plain(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    return rows.select(schema.names).cast(schema)


def _text(value: Any) -> str:
    # An empty name is none on any file system, so an empty text is written as null, as Hive does.
    return HIVE_NULL if value is None or value == "" else quote(str(value), safe=" ")
