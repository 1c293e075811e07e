"""Two samples counted in the same cells: what every drift method and test starts from, whatever counted them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellCounts:
    """Counts of a reference and a current sample in k common cells.

    Parameters
    ----------
    reference, current : int array, shape (k,)
        Values in each cell, at least one in each sample. Missing values are not counted here.
    lower, upper : float array, shape (k,), or None
        Numeric columns: bounds of the cells in increasing order, which do not overlap; a cell with ``lower == upper``
        holds one single value. The first may start at -inf and the last end at +inf. None for categories.
    labels : tuple of str, length k, or ()
        Categories: their names, in the reference's order.
    reference_std : float or None
        Numeric columns: standard deviation of the reference, > 0, by which distances are normed; None when it has none.
    reference_std_error : float, default 0.0
        By how much that may differ from the standard deviation of the values themselves.
    """

    reference: Ints
    current: Ints
    lower: Floats | None = None
    upper: Floats | None = None
    labels: tuple[str, ...] = ()
    reference_std: float | None = None
    reference_std_error: float = 0.0

    def __post_init__(self) -> None:
        for name in ("reference", "current"):
            counts: Any = getattr(self, name)
            if counts.ndim != 1 or len(counts) != len(self.reference):
                raise InputError(f"{name} of CellCounts must be one-dimensional and as long as the other sample.")
            if (counts < 0).any() or counts.sum() < 1:
                raise InputError(f"{name} of CellCounts must hold counts of at least one value.")
        if (self.lower is None) != (self.upper is None):
            raise InputError("lower and upper of CellCounts belong together; got one of them.")

    @property
    def ordered(self) -> bool:
        """Whether the cells are intervals of numbers."""
        return self.lower is not None

    @property
    def n_reference(self) -> int:
        """Size of the reference sample."""
        return int(self.reference.sum())

    @property
    def n_current(self) -> int:
        """Size of the current sample."""
        return int(self.current.sum())
