"""Rows out to Parquet, all or nothing: whoever looks at the output's name finds a whole table or none.

A table is written under a hidden name beside its place and renamed when it is complete and on the disk. It must never
touch what another task wrote unless it is told to. Another kind of storage is one more class with the members of
`TableWriter`; until then only local paths are known.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.file_entry import HIVE_NULL
from airflow_mlops_provider.data.file_object import local_uri
from airflow_mlops_provider.data.output import ABOUT, SUCCESS, check_free

if TYPE_CHECKING:
    import pyarrow as pa

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
    path : pathlib.Path
        Absolute. A name that ends in ``.parquet`` becomes one file unless `partition_by` is given; any other name, a
        folder with a ``_SUCCESS`` file.
    schema : pyarrow.Schema
        Of the rows.
    owner : str
        Key of the effect that this table is, the same for each try. Its earlier tries are cleaned away, and its
        earlier table is replaced.
    about : mapping
        Plain JSON values stored with the table; in the file's metadata, or in ``_SUCCESS``.
    partition_by : sequence of str, default ()
        Columns that become folders ``name=value``, in this order.
    overwrite : bool, default False
        Whether to replace a table of another owner.

    Raises
    ------
    InputError
        Something else is at the path, or it must not be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: pa.Schema,
        owner: str,
        about: Mapping[str, Any],
        partition_by: Sequence[str] = (),
        overwrite: bool = False,
    ) -> None:
        self.path = path
        self.rows = 0
        self._owner = owner
        self._overwrite = overwrite
        self._partition_by = tuple(partition_by)
        self._is_folder = bool(partition_by) or path.suffix != ".parquet"
        self._about = json.dumps({"owner": owner, **about}, allow_nan=False)
        inside = [field for field in schema if field.name not in self._partition_by]
        self._schema = _with_about(inside, self._about)
        self._files: dict[str, Any] = {}
        self._buffers: dict[str, list[pa.Table]] = {}
        check_free(path, owner=owner, overwrite=overwrite)
        with _storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            # A frozen earlier try may still write: it keeps its own name, which is gone when it wants to publish.
            self._temporary = path.with_name(f"{self._prefix}{secrets.token_hex(4)}.part")
            if self._is_folder:
                self._temporary.mkdir()

    @property
    def uri(self) -> str:
        """Where the table will be, as ``file://``."""
        return local_uri(str(self.path))

    @property
    def _prefix(self) -> str:
        return f".{self.path.name}.{self._owner[:16]}."

    def write(self, rows: pa.Table) -> None:
        """Append rows, which must have the columns of the schema."""
        with _storage(self.path):
            if not self._partition_by:
                self._file("").write_table(_plain(rows, self._schema))
            else:
                for folder, part in self._split(rows):
                    self._buffers.setdefault(folder, []).append(_plain(part, self._schema))
                self._flush(down_to=_BUFFERED_ROWS)
        self.rows += rows.num_rows

    def publish(self) -> None:
        """Put the complete table in its place.

        A file replaces an earlier one in one step. A folder cannot: for the moment between two renames there is none.

        Raises
        ------
        InputError
            Nothing was written, or something else came to be at the path meanwhile.
        OutageError
            The storage failed, or another try of the same task cleaned this one away.
        """
        if not self.rows:
            raise InputError(f"{self.uri} would be a table without rows; nothing was written.")
        check_free(self.path, owner=self._owner, overwrite=self._overwrite)
        with _storage(self.path):
            self._flush(down_to=0)
            for file in self._files.values():
                file.close()
            self._files = {}
            if self._is_folder:
                (self._temporary / SUCCESS).write_text(self._about)
            _sync(self._temporary)
            if self.path.is_dir():
                self.path.rename(self.path.with_name(f"{self._prefix}old"))
            os.replace(self._temporary, self.path)
            _sync_folder(self.path.parent)
            self._remove_leftovers()

    def close(self) -> None:
        """Remove what was not published."""
        for file in self._files.values():
            file.close()
        self._files = {}
        _remove(self._temporary)

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
            path = self._temporary / folder / "part-00000.parquet" if self._is_folder else self._temporary
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[folder] = pq.ParquetWriter(path, self._schema, compression="zstd")
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

    def _remove_leftovers(self) -> None:
        for path in self.path.parent.iterdir():
            if path.name.startswith(self._prefix):
                _remove(path)


def _with_about(fields: Sequence[pa.Field], about: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(fields, metadata={ABOUT: about.encode()})


def _plain(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    return rows.select(schema.names).cast(schema)


def _text(value: Any) -> str:
    # An empty name is none on any file system, so an empty text is written as null, as Hive does.
    return HIVE_NULL if value is None or value == "" else quote(str(value), safe=" ")


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """Tell a place that may not be written from a storage that failed."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(f"Output {local_uri(str(path))} cannot be written: {error.strerror}.") from error
    except OSError as error:
        raise OutageError(
            f"Output {local_uri(str(path))} could not be written: {error.strerror or error}. Nothing was published; "
            "what was written so far is removed by the next try."
        ) from error


def _sync(path: Path) -> None:
    """Bring a file, or all below a folder, to the disk."""
    if path.is_dir():
        for one in path.iterdir():
            _sync(one)
        _sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
