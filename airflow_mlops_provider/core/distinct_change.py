"""What the sketch of distinct values tells of a text whose values are nearly all different; must call few what is few.

Such a column has no frequent categories to compare. Whether its texts are other ones cannot be told from a sketch;
that a few texts now take the place of many can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.histogram import CategoryGrid

if TYPE_CHECKING:
    from airflow_mlops_provider.core.profile import ColumnProfile

# More than four standard errors of the sketch.
_ERROR = 0.15
# Share of the rows from which the cells can show a change; their distance if all left is then about the square root of
# half of it.
_SPEAKING = 0.05
# Few: less than this share of the distinct values that are expected at least.
_FEW = 0.25


def hardly_any_in_cells(column: ColumnProfile) -> bool:
    """Whether so few rows have a category with a cell that these cannot speak for the others."""
    return column.other > 0 and column.other >= (1 - _SPEAKING) * column.n_counted


def distinct_cells(reference: ColumnProfile, current: ColumnProfile) -> CellCounts | None:
    """Compare the distinct values of two samples where these became few.

    Of m rows like the n of the reference with D distinct values, at least ``D min(1, m / n)`` distinct ones are
    expected: the expected number grows with the rows, and more slowly the more rows there are.

    Parameters
    ----------
    reference, current : ColumnProfile
        Of a text, counted in the same grid.

    Returns
    -------
    CellCounts or None
        Rows that repeat a value, and distinct values. None unless a quarter of what is expected at least is missed,
        beyond any error of the sketch.
    """
    import numpy as np

    n, m = reference.n_counted, current.n_counted
    before, now = reference.distinct, current.distinct
    if before is None or now is None or not n or not m:
        return None
    expected = before * (1 - _ERROR) * min(1.0, m / n)
    if now * (1 + _ERROR) >= _FEW * expected:
        return None
    sides = [(size - kinds, kinds) for size, kinds in ((n, min(n, round(before))), (m, min(m, round(now))))]
    first, second = (np.asarray(side, dtype=np.int64) for side in sides)
    return CellCounts(reference=first, current=second, labels=("(repeated)", "(distinct)"))


def rows_alike_at_most(column: ColumnProfile) -> int:
    """Return how many rows like those of a column may hold the same text that has no cell.

    Where every text has its cell, by Good and Turing as many as hold a text that occurs once
    (:func:`~airflow_mlops_provider.core.column_drift.unseen_test`); else all without a cell but one for each distinct
    text.
    """
    if isinstance(column.grid, CategoryGrid) and column.grid.complete and not column.other:
        return sum(count == 1 for count in column.counts)
    distinct = int((column.distinct or 0.0) * (1 - _ERROR)) - len(column.cells)
    return column.other - max(distinct - 1, 0) if distinct < column.other else 1
