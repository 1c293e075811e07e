"""One table out of one or many files: one schema, one row order, one fingerprint; must never read a changed file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import DataChangedError, InputError, NoDataError, OutageError
from airflow_mlops_provider.core.specs import Fingerprint
from airflow_mlops_provider.data.access import DEFAULT_ACCESS, DataAccess
from airflow_mlops_provider.data.file_entry import FileEntry
from airflow_mlops_provider.data.file_object import FileIdentity, digest, reading
from airflow_mlops_provider.data.formats import opener_of
from airflow_mlops_provider.data.locate import locate
from airflow_mlops_provider.data.source import BATCH_ROWS, DataSource
from airflow_mlops_provider.data.types import cast_batch, join_types, with_dictionaries

if TYPE_CHECKING:
    import pyarrow as pa

# Eighteen digits always fit.
_INT64 = re.compile(r"-?\d{1,18}")


def open_files(data: Any, *, access: DataAccess = DEFAULT_ACCESS) -> TableFiles:
    """Open files as one table.

    Parameters
    ----------
    data : str, pathlib.Path, Asset or sequence of those
        As for ``locate``.
    access : DataAccess
        As for ``locate``.

    Returns
    -------
    TableFiles
        Not read yet, but from now on these files must not change.

    Raises
    ------
    InputError
        Nothing is there, a file has no bytes, or as for ``locate``.
    DataChangedError
        A file went after it was listed.
    OutageError
        The storage failed.
    """
    uri, entries = locate(data, access=access)
    return TableFiles(uri=uri, entries=entries)


class TableFiles(DataSource):
    """Rows of one or many files of one format.

    All files must have the same columns, in any order and in types that join: what is an integer in one file may be
    a float or null in another. Folders named ``key=value`` add columns, unless the files have those columns.

    Parameters
    ----------
    uri : str
        Address of the whole.
    entries : sequence of FileEntry
        The files, in row order.

    Raises
    ------
    InputError
        A file has no bytes or must not be looked up.
    DataChangedError
        A file is gone.
    OutageError
        The storage failed.
    """

    def __init__(self, *, uri: str, entries: Sequence[FileEntry]) -> None:
        self._uri = uri
        self._entries = list(entries)
        self._seen = [_first_look(entry) for entry in entries]

    @property
    def uri(self) -> str:
        """Address of the whole."""
        return self._uri

    def schema(self) -> pa.Schema:
        """Return the columns in the order of the first file, then those that folders say."""
        import pyarrow as pa

        return pa.schema([*self._scanned.inside, *self._scanned.folders])

    def count_rows(self) -> int:
        """Return the number of rows of all files."""
        return self._scanned.n_rows

    @property
    def is_columnar(self) -> bool:
        """Whether the format keeps columns apart."""
        return all(entry.format.is_columnar for entry in self._entries)

    def batches(
        self, columns: Sequence[str] | None = None, *, batch_rows: int = BATCH_ROWS, dictionaries: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Read the files one after the other."""
        import pyarrow as pa

        if batch_rows < 1:
            raise InputError(f"batch_rows must be at least 1; got {batch_rows}.")
        known = {field.name: field for field in self.schema()}
        wanted = pa.schema([known[name] for name in self.select(columns)])
        wanted = with_dictionaries(wanted) if dictionaries else wanted
        for entry, seen in zip(self._entries, self._seen, strict=True):
            with reading(entry.file, seen, as_what=entry.format.name):
                for batch in self._read(entry, seen, wanted, batch_rows):
                    for start in range(0, batch.num_rows, batch_rows):
                        yield batch.slice(start, batch_rows)

    def fingerprint(self) -> Fingerprint:
        """Return the SHA-256 of the file's bytes or ETag, or of the sorted names and digests of several files."""
        digests = [digest(entry.file, seen) for entry, seen in zip(self._entries, self._seen, strict=True)]
        names = [entry.name for entry in self._entries]
        whole = digests[0]
        if len(digests) > 1:
            whole = sha256(json.dumps(sorted(zip(names, digests, strict=True))).encode()).hexdigest()
        return Fingerprint(
            uri=self._uri,
            sha256=whole,
            size_bytes=sum(seen.size_bytes for seen in self._seen),
            rows=self.count_rows(),
            modified_at=max(seen.modified_at for seen in self._seen).isoformat(),
            basis="etag" if any(seen.digest for seen in self._seen) else "bytes",
        )

    @cached_property
    def _scanned(self) -> _Scan:
        schemas, n_rows = [], 0
        for entry, seen in zip(self._entries, self._seen, strict=True):
            with reading(entry.file, seen, as_what=entry.format.name):
                schema, n_file_rows = entry.format.scan(opener_of(entry.file.uri, partial(entry.file.open, seen)))
            _check_names(schema.names, entry)
            schemas.append(schema)
            n_rows += n_file_rows
        if not n_rows:
            raise NoDataError(f"{self._uri} has columns but no rows. Hint: check the step that writes it.")
        inside = _unified(schemas, self._entries)
        return _Scan(inside=inside, folders=_folder_fields(self._entries, inside.names), n_rows=n_rows)

    def _read(
        self, entry: FileEntry, seen: FileIdentity, wanted: pa.Schema, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read one file's share of the columns and add those that its folders say."""
        import pyarrow as pa

        names_inside = set(self._scanned.inside.names)
        # The file is read even if only its folders are asked, to know how often to repeat what they say.
        inside = [field for field in wanted if field.name in names_inside]
        inside = inside or [self._scanned.inside.field(0)]
        opener = opener_of(entry.file.uri, partial(entry.file.open, seen))
        for batch in entry.format.batches(opener, pa.schema(inside), batch_rows):
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns = [
                found[field.name]
                if field.name in names_inside
                else pa.repeat(_folder_value(entry, field), batch.num_rows)
                for field in wanted
            ]
            yield cast_batch(pa.RecordBatch.from_arrays(columns, names=wanted.names), wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """What reading all files told: their columns, those that folders add, and the number of rows."""

    inside: pa.Schema
    folders: pa.Schema
    n_rows: int


def _first_look(entry: FileEntry) -> FileIdentity:
    uri = entry.file.uri
    try:
        seen = entry.file.identity()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataChangedError(
            f"{uri} disappeared after it was listed. Hint: try again when who moves or deletes files is done."
        ) from error
    except PermissionError as error:
        raise InputError(f"{uri} cannot be looked up: {error.strerror}. Hint: check its permissions.") from error
    except OSError as error:
        raise OutageError(f"{uri} cannot be looked up: {error.strerror or error}. Nothing was changed.") from error
    if not seen.size_bytes:
        raise NoDataError(f"{entry.file.uri} is empty (0 bytes). Hint: check the step that writes it.")
    return seen


def _check_names(names: Sequence[str], entry: FileEntry) -> None:
    if not names:
        raise InputError(f"{entry.file.uri} has no columns. Hint: check the step that writes it.")
    counts = Counter(names)
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise InputError(f"{entry.file.uri} has no name for column {position}. Hint: name or drop it.")
        if counts[name] > 1:
            raise InputError(f"{entry.file.uri} has {counts[name]} columns {name!r}. Hint: rename all but one.")


def _unified(schemas: Sequence[pa.Schema], entries: Sequence[FileEntry]) -> pa.Schema:
    """Join the types of each column over the files."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {field.name: field.type for field in schemas[0]}
    for schema, entry in zip(schemas[1:], entries[1:], strict=True):
        if odd := set(types).symmetric_difference(schema.names):
            name = min(odd)
            has, lacks = (entries[0], entry) if name in types else (entry, entries[0])
            raise InputError(
                f"Column {name!r} is in {has.file.uri} but not in {lacks.file.uri}. Hint: write both alike."
            )
        for field in schema:
            joined = join_types(types[field.name], field.type)
            if joined is None and entry.format.mixed_is_text:
                joined = pa.string()
            if joined is None:
                raise InputError(
                    f"Column {field.name!r} is {field.type} in {entry.file.uri} but {types[field.name]} in the files "
                    "before it. Hint: write one type."
                )
            types[field.name] = joined
    return pa.schema(list(types.items()))


def _folder_fields(entries: Sequence[FileEntry], inside: Sequence[str]) -> pa.Schema:
    """Return the columns that folders add: integers where all values look so, else text."""
    import pyarrow as pa

    keys = list(entries[0].partition)
    for entry in entries:
        if set(entry.partition) != set(keys):
            raise InputError(
                f"The folders of {entry.file.uri} say {', '.join(entry.partition) or 'nothing'}, those of "
                f"{entries[0].file.uri} say {', '.join(keys) or 'nothing'}. Hint: read one layout at a time."
            )
    fields = []
    for key in keys:
        values = [value for entry in entries if (value := entry.partition[key]) is not None]
        whole = bool(values) and all(_INT64.fullmatch(value) for value in values)
        fields.append((key, pa.int64() if whole else pa.string()))
    return pa.schema([field for field in fields if field[0] not in inside])


def _folder_value(entry: FileEntry, field: pa.Field) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(entry.partition[field.name], pa.string()).cast(field.type)
