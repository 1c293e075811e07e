"""What the cells of two profiles of one number tell of range, outliers and constancy; must count only what is certain.

A cell is narrow, and one that holds both sides of a limit is counted on the harmless side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops_provider.core.distinct_change import rows_alike_at_most
from airflow_mlops_provider.core.histogram import CategoryGrid, NoGrid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.profile import ColumnProfile

# The interquartile range of a normal distribution in its standard deviations.
IQR_PER_SIGMA = 1.3489795003921634


def beyond_range(training: ColumnProfile, serving: ColumnProfile) -> tuple[int, int]:
    """Return the serving values in cells below all, and above all, that training has.

    Parameters
    ----------
    training, serving : ColumnProfile
        Of a number, counted in the same cells, with values on both sides.

    Returns
    -------
    below, above : int
        A serving extreme beyond training's within the outermost cell counts as one value, which it is at least.
    """
    first, last = min(training.cells), max(training.cells)
    below = sum(count for cell, count in zip(serving.cells, serving.counts, strict=True) if cell < first)
    above = sum(count for cell, count in zip(serving.cells, serving.counts, strict=True) if cell > last)
    if not below and _less(serving.minimum, training.minimum):
        below = 1
    if not above and _less(training.maximum, serving.maximum):
        above = 1
    return below, above


def outlier_counts(training: ColumnProfile, serving: ColumnProfile, *, z: float) -> tuple[int, int]:
    """Return how many values of each side have a robust z-score over `z`.

    Parameters
    ----------
    training, serving : ColumnProfile
        Of a number, counted in the same cells, with values on both sides.
    z : float
        Limit of ``|x - median| / s``; median and s = IQR / 1.349 of training, its standard deviation where the IQR is
        0. Where that is 0 too, every other value is beyond any limit.
    """
    import numpy as np

    lower_quartile, median, upper_quartile = training.quantiles((0.25, 0.5, 0.75)) or (0.0, 0.0, 0.0)
    moments = training.moments()
    spread = (upper_quartile - lower_quartile) / IQR_PER_SIGMA
    if spread <= 0 and moments is not None:
        spread = moments.std
    with np.errstate(over="ignore"):
        low, high = median - z * spread, median + z * spread
    return _outside(training, low, high), _outside(serving, low, high)


def constant_since(training: ColumnProfile, serving: ColumnProfile) -> int | None:
    """Return how many training rows can hold the only value that serving has; None when either side varies or not.

    Of a text that has no cell, see :func:`~airflow_mlops_provider.core.distinct_change.rows_alike_at_most`. None also
    where training itself is constant: that its only value returns is no finding.
    """
    if training.is_constant or not serving.is_constant or isinstance(serving.grid, NoGrid):
        return None
    counts = dict(zip(training.cells, training.counts, strict=True))
    return counts.get(serving.cells[0], 0) if serving.cells else rows_alike_at_most(training)


def share_below(column: ColumnProfile, limit: float) -> int:
    """Return the number of values that are certainly below a limit."""
    return _outside(column, limit, float("inf"))


def share_above(column: ColumnProfile, limit: float) -> int:
    """Return the number of values that are certainly above a limit."""
    return _outside(column, float("-inf"), limit)


def _outside(column: ColumnProfile, low: float, high: float) -> int:
    import numpy as np

    if isinstance(column.grid, CategoryGrid | NoGrid) or not column.cells:
        return 0
    lower, upper = column.grid.bounds(np.asarray(column.cells, dtype=np.int64))
    counts: NDArray[np.int64] = np.asarray(column.counts, dtype=np.int64)
    single = lower == upper
    below = np.where(single, upper < low, upper <= low)
    above = np.where(single, lower > high, lower >= high)
    return int(counts[below | above].sum())


def _less(first: float | None, second: float | None) -> bool:
    return first is not None and second is not None and first < second
