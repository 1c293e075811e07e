"""Runs one query once and keeps its rows for every later pass; must never hold them all in memory.

The rows are streamed from any DB-API 2 connection (PEP 249) into a private folder of Arrow files. A new file begins
where a column's type widens, so nothing is written twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_mlops_provider.core.errors import InputError, NoDataError, OutageError
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.specs import Fingerprint
from airflow_mlops_provider.core.sql_statement import one_statement
from airflow_mlops_provider.data.file_entry import FileEntry
from airflow_mlops_provider.data.file_object import LocalFile
from airflow_mlops_provider.data.formats import FORMATS
from airflow_mlops_provider.data.source import BATCH_ROWS, DataSource
from airflow_mlops_provider.data.sql_errors import database_errors
from airflow_mlops_provider.data.sql_session import POSTGRES_DRIVERS, drivers_of, only_read
from airflow_mlops_provider.data.sql_types import join_columns, to_arrow
from airflow_mlops_provider.data.table_files import TableFiles
from airflow_mlops_provider.data.types import cast_batch

if TYPE_CHECKING:
    import pyarrow as pa

_SPOOL_SUFFIX = ".arrow"
# A row of Python objects is some 50 bytes a value, so that a fetch stays below 30 MB however wide the rows.
_CELLS_PER_FETCH = 500_000
_FIRST_FETCH_ROWS = 100


def open_query(
    *,
    connect: Callable[[], Any],
    sql: str,
    parameters: Mapping[str, Any] | Sequence[Any] | None = None,
    uri: str,
    secrets: Sequence[str] = (),
) -> QueryRows:
    """Run a query and keep its rows until the source is closed.

    Parameters
    ----------
    connect : callable
        Opens a DB-API 2 connection, which is closed before this function returns.
    sql : str
        One statement that returns rows and writes none; a semicolon and comments may follow it.
    parameters : mapping or sequence, optional
        Values that the driver binds.
    uri : str
        What to call the data in messages and fingerprints, without credentials.
    secrets : sequence of str
        Texts that must not appear in messages.

    Returns
    -------
    QueryRows
        The rows, on the worker's disk.

    Raises
    ------
    InputError
        There are several statements, or one that writes; the database refuses it, it returns no rows, a name of a
        column is missing or repeated, or the values of a column do not go together.
    OutageError
        The database does not answer, or the disk is full.
    """
    statement = one_statement(sql, uri=uri)
    folder = TemporaryDirectory(prefix="mlops-query-", ignore_cleanup_errors=True)
    try:
        with database_errors(uri, secrets):
            connection = connect()
        with closing(connection):
            spool = _Spool(folder=Path(folder.name), uri=uri)
            with _disk_errors(uri):
                for names, rows in _fetch(connection, statement, parameters, uri=uri, secrets=secrets):
                    spool.write(names, rows)
                parts = spool.finish()
        return QueryRows(uri=uri, parts=parts, folder=folder)
    except BaseException:
        folder.cleanup()
        raise


class QueryRows(DataSource):
    """The kept rows of a query; every pass gives the same ones. Made by `open_query`."""

    def __init__(self, *, uri: str, parts: Sequence[Path], folder: TemporaryDirectory[str]) -> None:
        self._folder = folder
        # SQLite decides types by value and not by column; meeting ones are text then.
        format_ = replace(FORMATS[_SPOOL_SUFFIX], mixed_is_text=True)
        entries = [FileEntry(file=LocalFile(part), format=format_, name=part.name, partition={}) for part in parts]
        self._rows = TableFiles(uri=uri, entries=entries)

    @property
    def uri(self) -> str:
        """What the data are called."""
        return self._rows.uri

    def schema(self) -> pa.Schema:
        """Return the columns in the order of the query."""
        return self._rows.schema()

    def count_rows(self) -> int:
        """Return the number of rows the query gave."""
        return self._rows.count_rows()

    @property
    def is_columnar(self) -> bool:
        """Whether columns are kept apart: they are."""
        return self._rows.is_columnar

    def batches(
        self, columns: Sequence[str] | None = None, *, batch_rows: int = BATCH_ROWS, dictionaries: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Read the kept rows."""
        return self._rows.batches(columns, batch_rows=batch_rows, dictionaries=dictionaries)

    def fingerprint(self) -> Fingerprint:
        """Return the SHA-256 of the column names and the sorted row hashes, 8 bytes a row in memory."""
        import numpy as np

        names = sorted(self.schema().names)
        hashes = np.concatenate([hash_rows(_exact(batch), columns=names) for batch in self.batches()])
        hashes.sort()
        whole = sha256(json.dumps(names).encode())
        whole.update(hashes.astype("<u8").tobytes())
        return Fingerprint(
            uri=self.uri,
            sha256=whole.hexdigest(),
            size_bytes=0,
            rows=self.count_rows(),
            modified_at=None,
            basis="rows",
        )

    def close(self) -> None:
        """Delete the kept rows."""
        self._folder.cleanup()


def _exact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give decimals as text, since row hashes take them as float64 and a change of their last digits would be lost."""
    import pyarrow as pa
    import pyarrow.types as types

    columns = [column.cast(pa.string()) if types.is_decimal(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


class _Spool:
    """Writes batches of rows, a new file whenever the type of a column widens."""

    def __init__(self, *, folder: Path, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        self._parts: list[Path] = []
        self._schema: pa.Schema | None = None
        self._writer: Any = None

    def write(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        arrays = [to_arrow(column, name=name) for name, column in zip(names, zip(*rows, strict=True), strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, names=list(names))
        schema = batch.schema if self._schema is None else _widened(self._schema, batch.schema)
        if self._writer is None or schema != self._schema:
            self._begin(schema)
        self._writer.write_batch(cast_batch(batch, schema))

    def finish(self) -> list[Path]:
        """Close the last file and return all of them."""
        if self._writer is None:
            raise NoDataError(f"The query of {self._uri} gave no rows. Hint: check its conditions.")
        self._writer.close()
        return self._parts

    def _begin(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        if self._writer is not None:
            self._writer.close()
        part = self._folder / f"{len(self._parts):06d}{_SPOOL_SUFFIX}"
        self._writer = pa.ipc.new_file(str(part), schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self._parts.append(part)
        self._schema = schema


def _fetch(
    connection: Any, sql: str, parameters: Any, *, uri: str, secrets: Sequence[str]
) -> Iterator[tuple[list[str], list[Sequence[Any]]]]:
    """Yield the column names with each fetch of rows."""
    with database_errors(uri, secrets):
        only_read(connection)
        cursor = _streaming_cursor(connection)
        # Without parameters, a driver leaves the percent signs of the statement alone.
        cursor.execute(sql) if parameters is None else cursor.execute(sql, parameters)
        # The first fetch comes before the description, which server-side cursors know only then.
        rows = cursor.fetchmany(_FIRST_FETCH_ROWS)
    names = _names_of(cursor, uri)
    n_rows = max(1, _CELLS_PER_FETCH // len(names))
    while rows:
        yield names, [tuple(row.values()) if isinstance(row, Mapping) else tuple(row) for row in rows]
        with database_errors(uri, secrets):
            rows = cursor.fetchmany(n_rows)


def _names_of(cursor: Any, uri: str) -> list[str]:
    if cursor.description is None:
        raise InputError(f"The statement of {uri} returns no rows. Hint: give one SELECT.")
    names = [column[0] for column in cursor.description]
    for name, count in Counter(names).items():
        if not name.strip() or count > 1:
            raise InputError(f"The query of {uri} has {count} columns named {name!r}. Hint: use AS.")
    return names


def _widened(known: pa.Schema, new: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    columns = zip(known.names, known.types, new.types, strict=True)
    return pa.schema([(name, join_columns(first, second, name=name)) for name, first, second in columns])


@contextmanager
def _disk_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutageError(
            f"The rows of {uri} could not be kept on this worker's disk: {error}. They were deleted."
        ) from error


def _streaming_cursor(connection: Any) -> Any:
    """Open a cursor that does not fetch the whole result at once, in the way of the driver."""
    drivers = drivers_of(connection)
    if drivers & POSTGRES_DRIVERS:
        return connection.cursor(name=f"mlops_{uuid4().hex}")
    if "pymysql" in drivers:
        from pymysql.cursors import SSCursor  # type: ignore[import-untyped]  # an optional driver

        return connection.cursor(SSCursor)
    if "MySQLdb" in drivers:
        from MySQLdb.cursors import SSCursor  # type: ignore[import-untyped]  # an optional driver

        return connection.cursor(SSCursor)
    return connection.cursor()
