"""Counts Arrow batches into a profile, in memory that does not grow with their number; must never keep a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.category_counter import CategoryCounter
from airflow_mlops_provider.core.column_values import Kind, kind_of, plain, type_name
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import CategoryGrid, Grid, NoGrid
from airflow_mlops_provider.core.number_counter import NumberCounter
from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile
from airflow_mlops_provider.core.reference_grids import not_utf8, reference_grids

if TYPE_CHECKING:
    import pyarrow as pa

# Longer arrays are counted in pieces, so that what is made of them on the way stays small.
_PIECE_ROWS = 1 << 18


class Profiler:
    """Counts the rows of one sample.

    Not safe for several threads at once; give each its own and merge the results.

    Parameters
    ----------
    grids : mapping of str to Grid
        The cells of each column, from ``reference_grids`` or ``DatasetProfile.grids``. Of columns that are not in it,
        only types, rows and nulls are counted.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from airflow_mlops_provider.core.reference_grids import reference_grids
    >>> table = pa.table({"charge": [20.0, None, 20.0, 70.5], "plan": ["a", "b", "b", "a"]})
    >>> profiler = Profiler(reference_grids(table))
    >>> for batch in table.to_batches():
    ...     profiler.update(batch)
    >>> profiler.result().column("charge").nulls
    1
    """

    def __init__(self, grids: Mapping[str, Grid]) -> None:
        self._rows = 0
        self._columns = {name: ColumnProfiler(name, grid) for name, grid in grids.items()}

    def update(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the rows of a batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch or pyarrow.Table
            Any columns, each name once.

        Raises
        ------
        InputError
            A name is repeated, or a text is not in UTF-8.
        """
        names = batch.schema.names
        if len(set(names)) != len(names):
            raise InputError(f"The columns of a batch must have different names; got {names!r}.")
        self._rows += batch.num_rows
        for name, column in zip(names, batch.columns, strict=True):
            if name not in self._columns:
                self._columns[name] = ColumnProfiler(name, NoGrid())
            self._columns[name].update(column)

    def result(self) -> DatasetProfile:
        """Return the profile of what was counted so far, perhaps of no row."""
        columns = tuple(self._columns[name].result() for name in sorted(self._columns))
        return DatasetProfile(rows=self._rows, columns=columns)


def profile_table(table: pa.Table, *, grids: Mapping[str, Grid] | None = None) -> DatasetProfile:
    """Profile a table in memory.

    Parameters
    ----------
    table : pyarrow.Table
        The rows, perhaps none.
    grids : mapping of str to Grid, optional
        Cells to count in: those of the reference. By default they are chosen on the table itself.

    Returns
    -------
    DatasetProfile
        The same that reading the rows from files would give.

    Raises
    ------
    InputError
        A name is repeated, or a text is not in UTF-8.

    Examples
    --------
    >>> import pyarrow as pa
    >>> profile_table(pa.table({"plan": ["b", None, "b"]})).column("plan").counts
    (2,)
    """
    profiler = Profiler(reference_grids(table) if grids is None else grids)
    profiler.update(table)
    return profiler.result()


class ColumnProfiler:
    """Counts one column.

    Parameters
    ----------
    name : str
        Of the column.
    grid : Grid
        Its cells.
    """

    def __init__(self, name: str, grid: Grid) -> None:
        self._name = name
        self._grid = grid
        self._types: set[str] = set()
        self._kinds: set[Kind] = set()
        self._rows = self._nulls = self._mistyped = 0
        self._numbers: NumberCounter | None = None
        self._categories: CategoryCounter | None = None
        if isinstance(grid, CategoryGrid):
            self._categories = CategoryCounter(grid)
        elif not isinstance(grid, NoGrid):
            self._numbers = NumberCounter(grid)

    def update(self, column: pa.Array | pa.ChunkedArray) -> None:
        """Count an array of any type."""
        kind = kind_of(column.type)
        self._types.add(type_name(column.type))
        if kind != "null":
            self._kinds.add(kind)
        arrays = getattr(column, "chunks", [column])
        self._rows += len(column)
        for array in (
            whole.slice(start, _PIECE_ROWS) for whole in arrays for start in range(0, len(whole), _PIECE_ROWS)
        ):
            try:
                self._count(plain(array), kind)
            except UnicodeDecodeError as error:
                raise not_utf8(self._name) from error

    def _count(self, array: pa.Array, kind: Kind) -> None:
        counted_as = None if isinstance(self._grid, NoGrid) else self._grid.kind
        if kind == counted_as and self._categories is not None:
            # Only it knows the nulls, which a dictionary may hold among its values.
            self._nulls += self._categories.add(array)
            return
        self._nulls += array.null_count
        if kind == counted_as and self._numbers is not None:
            self._numbers.add(array.drop_null() if array.null_count else array)
        elif counted_as is not None:
            self._mistyped += len(array) - array.null_count

    def result(self) -> ColumnProfile:
        """Return what was counted so far."""
        known = {} if self._numbers is None else self._numbers.counts()
        known |= {} if self._categories is None else self._categories.counts()
        return ColumnProfile(
            name=self._name,
            grid=self._grid,
            types=tuple(sorted(self._types)),
            kinds=tuple(sorted(self._kinds)),
            rows=self._rows,
            nulls=self._nulls,
            mistyped=self._mistyped,
            **known,
        )
