"""The one interface through which every operator reads a table; must never know where the rows come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Self

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Fingerprint

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BATCH_ROWS = 65_536


class DataSource(ABC):
    """A table that can be read as often as needed and says when it changed in between.

    Use it as a context manager: closing it deletes what it keeps on disk. Every pass gives the same rows in the same
    order, or raises `DataChangedError`.
    """

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where the rows come from, without credentials."""

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return the columns, whose types hold for all rows.

        Returns
        -------
        pyarrow.Schema
            The same types that `batches` yields.

        Raises
        ------
        InputError
            The data are empty, damaged, or name a column twice or not at all.
        DataChangedError
            The data changed since they were opened.
        """

    @abstractmethod
    def count_rows(self) -> int:
        """Return the number of rows, at least 1; raises as `schema` does."""

    @property
    def is_columnar(self) -> bool:
        """Whether reading the columns one after the other costs no more than reading them together."""
        return False

    @abstractmethod
    def batches(
        self, columns: Sequence[str] | None = None, *, batch_rows: int = BATCH_ROWS, dictionaries: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Read the rows batch by batch, in memory that does not grow with their number.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of the columns wanted, in the order wanted; all by default. Others are not decoded where the format
            allows.
        batch_rows : int, default 65536
            Most rows in a batch, at least 1. A batch may hold fewer, never none.
        dictionaries : bool, default False
            Give text as dictionaries, as Parquet stores it: decoding and counting it is many times faster then.

        Yields
        ------
        pyarrow.RecordBatch
            Of the types that `schema` says, apart from `dictionaries`.

        Raises
        ------
        InputError
            As for `schema`; a column is unknown; `batch_rows` is below 1.
        DataChangedError
            The data changed since they were opened. It may come after the last batch: what was computed from a pass
            counts only when the pass has ended.
        """

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """Return the identity of the data: equal for equal data, whatever the order of files or of queried rows.

        Returns
        -------
        Fingerprint
            Reading all bytes (files) or rows (a query).

        Raises
        ------
        InputError, DataChangedError
            As for `schema`.
        """

    def to_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the columns into memory as Arrow; parameters and errors as for `batches`."""
        import pyarrow as pa

        names = self.select(columns)
        known = {field.name: field for field in self.schema()}
        return pa.Table.from_batches(self.batches(names), schema=pa.schema([known[name] for name in names]))

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the columns into memory as pandas; parameters and errors as for `batches`.

        Returns
        -------
        pandas.DataFrame
            Integers keep their type, or become float64 where values are missing. Booleans with missing values and
            columns of nulls alone become float64 too, and decimals. Text is pandas' default text type; dictionaries
            are decoded; dates and timestamps are datetime64, times text.
        """
        from airflow_mlops_provider.data.frame import to_frame

        return to_frame(self.to_table(columns))

    def select(self, columns: Sequence[str] | None) -> list[str]:
        """Check names of columns and give them as a list; None stands for all.

        Raises
        ------
        InputError
            A name is unknown or repeated, or there is none.
        """
        known = dict.fromkeys(self.schema().names)
        if columns is None:
            return list(known)
        if isinstance(columns, str) or not columns or len(set(columns)) != len(columns):
            raise InputError(f"columns must be a sequence of different names, at least one; got {columns!r}.")
        for name in columns:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                hint = f" Hint: did you mean {near[0]!r}?" if near else ""
                raise InputError(f"{self.uri} has no column {name!r}; its columns are {', '.join(known)}.{hint}")
        return list(columns)

    def close(self) -> None:  # noqa: B027  # not abstract: most sources keep nothing to delete
        """Delete what the source keeps on disk; it cannot be read afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
