"""The cells a column is counted in, fixed once on a reference; must never change once something was counted in them.

A grid turns values into cell numbers and cell numbers into bounds. Counts in one grid add up over batches, partitions
and machines, and two samples counted in one grid can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from airflow_mlops_provider.core.column_values import Kind
from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int64]

CELLS_PER_UNIT = 64
LAST_CELL = 2047
MAX_VALUES = 256
# Values written in full, 17 digits each, would make profiles too large.
_MAX_VALUES_CHARACTERS = 2_000
# A cell with more of the reference than this is split into cells of at most `_PIECES`-ths, single values apart.
_MAX_CELL_SHARE = 0.02
_PIECES = 128
# In a small sample a cell exceeds the share by chance.
_MIN_CELL_COUNT = 20
_CHUNK = 1 << 16
# The greatest float is 3.9e13 of these: with a smaller scale whatever overflows lies beyond the last cell's bound.
_HALVED_SCALE = 4e294


@dataclass(frozen=True, slots=True, kw_only=True)
class AsinhGrid:
    """Cells that are even near the centre of the reference and logarithmic in its tails.

    A value x lies in cell ``floor(64 * asinh((x - centre) / scale))``, clipped to -2047..2047, and the cells are cut
    further at the splits. The cells are numbered from 0 in the order of the values.

    Parameters
    ----------
    kind : Kind
        What the column holds.
    centre : float
        Median of the reference.
    scale : float
        Its interquartile range, > 0. A cell at the centre is scale/64 wide; 2047 cells reach 3.9e13 scales.
    splits : tuple of float
        In increasing order. The cells left and right of a split s hold the values < s and >= s.
    whole : bool
        Whether the reference was of an integer type; its distinct values are then estimated.
    """

    kind: Kind
    centre: float
    scale: float
    splits: tuple[float, ...] = ()
    whole: bool = False

    def __post_init__(self) -> None:
        import math

        if not (math.isfinite(self.centre) and math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"AsinhGrid needs a finite centre and scale > 0; got {self.centre!r} and {self.scale!r}.")
        if list(self.splits) != sorted(set(self.splits)) or not all(map(math.isfinite, self.splits)):
            raise InputError("splits of AsinhGrid must be finite and strictly increasing.")

    @property
    def n_cells(self) -> int:
        """Number of cells, empty ones included."""
        return 2 * LAST_CELL + 1 + len(self.splits)

    def cells(self, values: Floats, *, buffers: tuple[Floats, Ints] | None = None) -> Ints:
        """Return the cell number of each value.

        Parameters
        ----------
        values : float64 array, shape (n,)
            Finite values; n should be at most some 100,000 for speed.
        buffers : tuple of a float64 and an intp array, each of at least n, optional
            Working memory that saves a fifth of the time. The result is a view of the second.

        Returns
        -------
        intp array, shape (n,)
            From 0 to ``n_cells - 1``, increasing with the values.
        """
        import numpy as np

        n = len(values)
        u, numbers = (np.empty(n), np.empty(n, np.intp)) if buffers is None else (buffers[0][:n], buffers[1][:n])
        with np.errstate(over="ignore"):
            if self.scale < _HALVED_SCALE:
                # An overflow goes to infinity and from there to the last cell, where it belongs.
                np.subtract(values, self.centre, out=u)
                u *= 1.0 / self.scale
            else:
                # Here an overflow may lie in any cell; halves do not overflow, and are exact.
                np.multiply(values, 0.5, out=u)
                u -= self.centre * 0.5
                u *= 2.0 / self.scale
        np.arcsinh(u, out=u)
        u *= CELLS_PER_UNIT
        np.floor(u, out=u)
        np.clip(u, -LAST_CELL, LAST_CELL, out=u)
        np.copyto(numbers, u, casting="unsafe")
        numbers += LAST_CELL
        if self.splits:
            # Both terms only grow with the value, so that their sum numbers the cells between all edges.
            numbers += np.searchsorted(np.asarray(self.splits), values, side="right")
        return numbers

    def bounds(self, cells: Ints) -> tuple[Floats, Floats]:
        """Return the bounds of some cells.

        Parameters
        ----------
        cells : int array, shape (k,)
            Cell numbers.

        Returns
        -------
        lower, upper : float64 arrays, shape (k,)
            A cell holds the values x with lower <= x < upper, or the one value lower == upper. The first cell begins
            at -inf and the last ends at inf. Right up to the rounding of asinh, some 1e-14 of the distance from the
            centre.
        """
        import numpy as np

        with np.errstate(over="ignore"):
            # By halves, which are exact: the way from the centre may be longer than the greatest float.
            way = np.sinh(np.arange(1 - LAST_CELL, LAST_CELL + 1) / CELLS_PER_UNIT)
            even = 2.0 * (self.centre * 0.5 + self.scale * 0.5 * way)
        edges = np.sort(np.concatenate([[-np.inf], even, np.asarray(self.splits), [np.inf]]))
        lower, upper = edges[cells], edges[cells + 1]
        return lower, np.where(upper <= np.nextafter(lower, np.inf), lower, upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueGrid:
    """A cell for each of a few values, and one for each gap between, below and above them.

    Parameters
    ----------
    kind : Kind
        What the column holds.
    values : tuple of float, length k
        At least one, in increasing order. Cell 2 * i + 1 holds the value i alone, cell 2 * i what is below it.
    """

    kind: Kind
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        import math

        if not self.values or list(self.values) != sorted(set(self.values)) or not all(map(math.isfinite, self.values)):
            raise InputError("values of ValueGrid must be finite, strictly increasing and at least one.")

    @property
    def n_cells(self) -> int:
        """Number of cells, empty ones included."""
        return 2 * len(self.values) + 1

    def cells(self, values: Floats) -> Ints:
        """Return the cell number of each finite value, as `AsinhGrid.cells` does."""
        import numpy as np

        known = np.asarray(self.values)
        left = np.searchsorted(known, values)
        numbers: Ints = 2 * left + (known[np.minimum(left, len(known) - 1)] == values)
        return numbers

    def bounds(self, cells: Ints) -> tuple[Floats, Floats]:
        """Return the bounds of some cells: open intervals, or single values with lower == upper."""
        import numpy as np

        edges = np.concatenate([[-np.inf], self.values, [np.inf]])
        return edges[(cells + 1) // 2], edges[cells // 2 + 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryGrid:
    """A cell for each category; all other values share one count beside the cells.

    Parameters
    ----------
    kind : Kind
        ``"text"`` or ``"boolean"``.
    categories : tuple of str
        By falling count in the reference. Long ones are shortened, see ``category_name``.
    complete : bool
        Whether the reference had no other values, so that any other is new.
    """

    kind: Kind
    categories: tuple[str, ...]
    complete: bool

    @property
    def n_cells(self) -> int:
        """Number of cells, empty ones included."""
        return len(self.categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoGrid:
    """For columns of which only types, rows and missing values are counted: null, nested, or not in the reference."""

    @property
    def n_cells(self) -> int:
        """None at all."""
        return 0


NumericGrid: TypeAlias = AsinhGrid | ValueGrid
Grid: TypeAlias = AsinhGrid | ValueGrid | CategoryGrid | NoGrid


def numeric_grid(values: Floats, *, kind: Kind = "numeric", whole: bool = False) -> NumericGrid:
    """Choose the cells that fit a reference.

    Up to 256 distinct values that repeat (at least two rows for each on average): one cell each. Otherwise an asinh
    grid, whose cells are split where one holds over 2 % of the reference: at quantiles, and around single values that
    repeat. So where the reference has at least 1,000 values, no cell but those of single values holds much more than
    2 % of it.

    Parameters
    ----------
    values : float64 array, shape (n,)
        Finite values of the reference, or a random sample of them. May be empty.
    kind : Kind, default "numeric"
        What the column holds.
    whole : bool, default False
        Whether it is of an integer type.

    Returns
    -------
    AsinhGrid or ValueGrid
        With median 0 and scale 1 when there is no value.

    Examples
    --------
    >>> import numpy as np
    >>> numeric_grid(np.array([0.0, 1.0, 1.0, 0.0])).values
    (0.0, 1.0)
    >>> numeric_grid(np.arange(1001) / 10).scale
    50.0
    """
    import numpy as np

    if not len(values):
        return AsinhGrid(kind=kind, centre=0.0, scale=1.0, whole=whole)
    # Adding 0.0 makes -0.0 and 0.0 one value.
    ordered = np.sort(values) + 0.0
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    if len(distinct) <= min(MAX_VALUES, (len(ordered) + 1) // 2):
        few = tuple(distinct.tolist())
        if sum(len(repr(value)) for value in few) <= _MAX_VALUES_CHARACTERS:
            return ValueGrid(kind=kind, values=few)
    even = AsinhGrid(kind=kind, centre=float(ordered[len(ordered) // 2]), scale=_scale(ordered), whole=whole)
    return AsinhGrid(kind=kind, centre=even.centre, scale=even.scale, splits=_splits(ordered, even), whole=whole)


def _scale(ordered: Floats) -> float:
    """Return the interquartile range, or where it is 0 the standard deviation, or where that is 0 too, 1."""
    import numpy as np

    n = len(ordered)
    largest = float(np.finfo(np.float64).max)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(ordered[(3 * n) // 4] - ordered[n // 4])
        if spread == 0.0:
            spread = float(ordered.std())
    if not np.isfinite(spread):
        return largest
    # Below the smallest normal number, division loses its digits.
    return max(spread, float(np.finfo(np.float64).tiny)) if spread else 1.0


def _splits(ordered: Floats, grid: AsinhGrid) -> tuple[float, ...]:
    """Cut cells that hold too much of the reference at its quantiles and around values that repeat."""
    import numpy as np

    n = len(ordered)
    step = max(1, n // _PIECES)
    numbers = np.concatenate([grid.cells(ordered[i : i + _CHUNK]) for i in range(0, n, _CHUNK)])
    begins = np.concatenate([[0], np.flatnonzero(np.diff(numbers)) + 1, [n]])
    splits: list[Floats] = []
    for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        if end - begin <= max(_MIN_CELL_COUNT, _MAX_CELL_SHARE * n):
            continue
        inside = ordered[begin:end]
        values, counts = np.unique(inside, return_counts=True)
        repeated = values[counts >= step]
        splits += [inside[step::step], repeated, np.nextafter(repeated, np.inf)]
    if not splits:
        return ()
    return tuple(np.unique(np.concatenate(splits)).tolist())
