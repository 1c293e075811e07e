"""How the distribution functions of two samples part along ordered cells; methods for numbers start from it.

It must never assume where in its cell a value lies without saying so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """Differences of the distribution functions F - G (reference minus current), cell by cell.

    Parameters
    ----------
    lower, upper : float array, shape (k,)
        Bounds of the cells.
    single : bool array, shape (k,)
        Whether the cell holds one single value.
    before, after : float array, shape (k,)
        F - G at the cell's start and end.
    lowest, highest : float array, shape (k,)
        Smallest and largest value that F - G can take inside the cell, ends included.
    """

    lower: Floats
    upper: Floats
    single: NDArray[np.bool_]
    before: Floats
    after: Floats
    lowest: Floats
    highest: Floats

    def mean_size(self) -> Floats:
        """Mean of |F - G| over each cell when both samples lie evenly in it."""
        import numpy as np

        before, after = np.abs(self.before), np.abs(self.after)
        total = before + after
        crossing = self.before * self.after < 0
        return np.where(crossing, (before**2 + after**2) / np.where(total > 0, 2 * total, 1.0), total / 2)


def steps_of(method: str, cells: CellCounts) -> Steps:
    """Return the steps of ordered cells.

    Parameters
    ----------
    method : str
        Who asks, for the message.
    cells : CellCounts
        Of a numeric column.

    Returns
    -------
    Steps

    Raises
    ------
    InputError
        The cells are categories.
    """
    import numpy as np

    if cells.lower is None or cells.upper is None:
        raise InputError(f"Drift method {method!r} compares numbers; these cells are categories.")
    p, q = cells.reference / cells.n_reference, cells.current / cells.n_current
    # From the integer counts, so that equal samples differ by exactly 0.
    n, m = cells.n_reference, cells.n_current
    after = np.cumsum(cells.reference) / n - np.cumsum(cells.current) / m
    before = np.concatenate([[0.0], after[:-1]])
    single = cells.lower == cells.upper
    return Steps(
        lower=cells.lower,
        upper=cells.upper,
        single=single,
        before=before,
        after=after,
        lowest=np.where(single, after, np.minimum(before, after).clip(max=before - q)),
        highest=np.where(single, after, np.maximum(before, after).clip(min=before + p)),
    )


def pooled_scale(cells: CellCounts) -> float:
    """Return the standard deviation of both samples together, each value at its cell's middle; 0 without spread."""
    import numpy as np

    if cells.lower is None or cells.upper is None:
        return 0.0
    low = np.where(np.isfinite(cells.lower), cells.lower, cells.upper)
    high = np.where(np.isfinite(cells.upper), cells.upper, cells.lower)
    middle = low / 2 + high / 2
    counts = cells.reference + cells.current
    used = counts > 0
    top = float(np.abs(middle[used]).max()) or 1.0
    middle, counts = middle[used] / top, counts[used]
    mean = np.average(middle, weights=counts)
    return float(np.sqrt(np.average((middle - mean) ** 2, weights=counts))) * top
