"""What is known of a data set without its rows: counts per column that add up; must never hold floating sums.

All state is integers, extremes and sketch registers, so that merging is exactly associative and commutative and the
profile of a data set does not depend on how it was cut into batches or partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from airflow_mlops_provider.core.cell_moments import Moments, moments, quantiles
from airflow_mlops_provider.core.column_values import Kind
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import AsinhGrid, CategoryGrid, Grid, ValueGrid
from airflow_mlops_provider.core.sketch import DistinctSketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column of a sample, counted in the cells of a grid.

    Every row is in exactly one of `nulls`, `nans`, `positive_infinities`, `negative_infinities`, `mistyped`, `other`
    and the cells; without a grid, rows that are not null are in none.

    Parameters
    ----------
    name : str
        Of the column.
    grid : Grid
        The cells, as the reference fixed them.
    types : tuple of str
        Arrow types it was stored in, sorted; () when the data had no such column.
    kinds : tuple of Kind
        What those types hold, sorted, without ``"null"``.
    rows : int
        Rows of the data that had the column.
    nulls, nans, positive_infinities, negative_infinities : int
        Rows with these.
    mistyped : int
        Rows with a value of another kind than the grid's, which cannot be counted in it.
    cells, counts : tuple of int
        Numbers of the cells that are not empty, in order, and how many rows each holds.
    other : int
        Rows with a text that is not among the grid's categories.
    other_examples : tuple of str
        The first ten of these in sort order, when the reference had no such rows.
    minimum, maximum : float, int or None
        Least and greatest finite value; int where a float would not be exact. None for categories and without values.
    registers : bytes or None
        Of the distinct count's sketch; None where none is kept.
    """

    name: str
    grid: Grid
    types: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    positive_infinities: int = 0
    negative_infinities: int = 0
    mistyped: int = 0
    cells: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    other: int = 0
    other_examples: tuple[str, ...] = ()
    minimum: float | int | None = None
    maximum: float | int | None = None
    registers: bytes | None = None

    @property
    def kind(self) -> Kind:
        """What the column itself holds, whatever the grid: "null" when nothing but nulls, "mixed" when of two kinds."""
        if not self.kinds:
            return "null"
        return self.kinds[0] if len(self.kinds) == 1 else "mixed"

    @property
    def missing(self) -> int:
        """Rows without a value: null or NaN, which storage formats do not tell apart reliably."""
        return self.nulls + self.nans

    @property
    def n_counted(self) -> int:
        """Rows in the cells, including other texts: the sample size of a comparison."""
        return sum(self.counts) + self.other

    @property
    def distinct(self) -> float | None:
        """Number of distinct values, exact where every value has its cell, else estimated; None where unknown."""
        exact = not self.other and not self.mistyped
        if isinstance(self.grid, ValueGrid):
            exact = exact and all(cell % 2 for cell in self.cells)
        elif not isinstance(self.grid, CategoryGrid):
            exact = False
        if exact:
            return float(len(self.cells))
        return None if self.registers is None else DistinctSketch(self.registers).estimate()

    @property
    def is_constant(self) -> bool:
        """Whether all values are one and the same."""
        if not self.n_counted:
            return False
        if self.minimum is not None:
            return self.minimum == self.maximum
        if self.other:
            # One register of the sketch; two texts share it once in a thousand times.
            return not self.cells and (self.distinct or inf) < 1.5 and len(self.other_examples) <= 1
        return len(self.cells) == 1

    def moments(self) -> Moments | None:
        """Return mean and standard deviation of the finite values with error bounds; None without numbers."""
        if self.minimum is None:
            return None
        lower, upper, counts = self._intervals()
        return moments(lower, upper, counts)

    def quantiles(self, probabilities: Sequence[float]) -> tuple[float, ...] | None:
        """Return quantiles of the finite values, each right to the width of its cell; None without numbers.

        Raises
        ------
        InputError
            A probability lies outside of 0 to 1.
        """
        import numpy as np

        if not all(0 <= p <= 1 for p in probabilities):
            raise InputError(f"Probabilities of quantiles must lie between 0 and 1; got {list(probabilities)!r}.")
        if self.minimum is None:
            return None
        return tuple(quantiles(*self._intervals(), np.asarray(probabilities, dtype=np.float64)).tolist())

    def _intervals(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        import numpy as np

        numbers = np.asarray(self.cells, dtype=np.int64)
        lower, upper = bounds_within(self.grid, numbers, self.minimum, self.maximum)
        return lower, upper, np.asarray(self.counts, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetProfile:
    """All columns of a sample.

    Parameters
    ----------
    rows : int
        Number of rows, perhaps 0.
    columns : tuple of ColumnProfile
        Sorted by name. Columns of the reference that the data lack are here with 0 rows; columns that the reference
        lacks, without a grid.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if names != sorted(set(names)):
            raise InputError("columns of DatasetProfile must be sorted by name, each name once.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each column, for counting another sample that is to be compared or merged."""
        return {column.name: column.grid for column in self.columns}

    def column(self, name: str) -> ColumnProfile:
        """Return one column.

        Raises
        ------
        InputError
            There is none of this name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InputError(f"The profile has no column {name!r}. Hint: its columns are {', '.join(self.names)}.")

    def to_json(self) -> str:
        """Write the profile as JSON text, from which `from_json` makes an equal one."""
        from airflow_mlops_provider.core.profile_json import write

        return write(self)

    @staticmethod
    def from_json(text: str | bytes) -> DatasetProfile:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            It is no profile, a damaged one, or one of another version of the format.
        """
        from airflow_mlops_provider.core.profile_json import read

        return read(text)


def bounds_within(
    grid: Grid, cells: NDArray[np.int64], minimum: float | int | None, maximum: float | int | None
) -> tuple[Floats, Floats]:
    """Return the bounds of cells, narrowed to the range of the values in them."""
    import numpy as np

    if not isinstance(grid, AsinhGrid | ValueGrid) or minimum is None or maximum is None:
        raise InputError("Only numbers have bounds; got a column of categories or without values.")
    lower, upper = grid.bounds(cells)
    lower = np.maximum(lower, float(minimum))
    # Not below it: the bounds are right to a rounding, the extremes are exact.
    return lower, np.maximum(lower, np.minimum(upper, float(maximum)))
