"""Merges cells until each expects enough values for a test; must look at nothing but the two samples' joint counts.

These carry no information on how the samples differ, so that merging does not change the level of a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


# Categories: rare ones are merged until each expects this many values of the smaller sample (Cochran's rule), and so
# that not more than these remain.
_MOST_CATEGORIES, _EXPECTED_CATEGORY = 100, 5


def merge_neighbours(cells: CellCounts, *, expected: int, most: int) -> NDArray[np.int64]:
    """Merge neighbouring cells to about equal mass, none with fewer expected values of the smaller sample.

    Parameters
    ----------
    cells : CellCounts
        Ordered.
    expected : int
        Least expected count of the smaller sample in a merged cell.
    most : int
        How many merged cells to aim for at most.

    Returns
    -------
    int array, shape (2, b)
        Counts of reference and current, 1 <= b <= most.
    """
    import numpy as np

    pooled = cells.reference + cells.current
    total = int(pooled.sum())
    smaller = min(cells.n_reference, cells.n_current)
    wanted = max(1, min(most, smaller // expected))
    # A cell goes where its middle lies, so that one value with much mass keeps to itself.
    middle = np.cumsum(pooled) - pooled / 2
    group = np.minimum((middle * wanted / total).astype(np.int64), wanted - 1)
    merged = _sum_groups(cells, np.unique(group, return_inverse=True)[1])
    return _absorb_small(merged, expected * total / smaller)


def _absorb_small(counts: NDArray[np.int64], least: float) -> NDArray[np.int64]:
    """Merge groups that uneven cells left too small into the smaller of their neighbours."""
    import numpy as np

    columns = [counts[:, j] for j in range(counts.shape[1])]
    while len(columns) > 1:
        sizes = [int(column.sum()) for column in columns]
        j = int(np.argmin(sizes))
        # Half of what was aimed at: groups of whole cells are never exactly equal.
        if sizes[j] >= least / 2:
            break
        beside = [i for i in (j - 1, j + 1) if 0 <= i < len(columns)]
        into = min(beside, key=lambda i: sizes[i])
        columns[into] = columns[into] + columns[j]
        del columns[j]
    return np.stack(columns, axis=1)


def merge_rare(cells: CellCounts) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Merge the rarest cells, wherever they lie, until each expects enough values of the smaller sample.

    Parameters
    ----------
    cells : CellCounts
        Categories, or few numbers.

    Returns
    -------
    merged : int array, shape (2, b)
        Counts of reference and current; b may be 1.
    rare : int array, shape (2,), or None
        Counts of the rare cells, when even together they expect too few and were merged with one that is not rare: what
        happens in them is then lost in `merged`.
    """
    import numpy as np

    counts = np.stack([cells.reference, cells.current])
    pooled = counts.sum(axis=0)
    counts = counts[:, np.argsort(-pooled, kind="stable")]
    counts = counts[:, counts.sum(axis=0) > 0]
    least = _EXPECTED_CATEGORY * pooled.sum() / min(cells.n_reference, cells.n_current)
    common = int((counts.sum(axis=0) >= least).sum())
    if counts.shape[1] > _MOST_CATEGORIES:
        common = min(common, _MOST_CATEGORIES - 1)
    if common == counts.shape[1]:
        return counts, None
    # Those too rare go together; if that is not enough, with the rarest of the others.
    rare = counts[:, common:].sum(axis=1)
    lost = None
    if common and rare.sum() < least:
        lost = rare
        common -= 1
        rare = rare + counts[:, common]
    return np.column_stack([counts[:, :common], rare]), lost


def _sum_groups(cells: CellCounts, group: NDArray[np.int64]) -> NDArray[np.int64]:
    import numpy as np

    size = int(group.max()) + 1
    rows = [np.bincount(group, weights=x, minlength=size).astype(np.int64) for x in (cells.reference, cells.current)]
    merged: NDArray[np.int64] = np.stack(rows)
    return merged[:, merged.sum(axis=0) > 0]
