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

    while counts.shape[1] > 1:
        sizes = counts.sum(axis=0)
        j = int(np.argmin(sizes))
        # Half of what was aimed at: groups of whole cells are never exactly equal.
        if sizes[j] >= least / 2:
            break
        beside = [i for i in (j - 1, j + 1) if 0 <= i < len(sizes)]
        into = min(beside, key=lambda i: int(sizes[i]))
        counts = counts.copy()
        counts[:, into] += counts[:, j]
        counts = np.delete(counts, j, axis=1)
    return counts


def merge_rare(
    cells: CellCounts, *, outside: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Merge the rarest cells, wherever they lie, until each expects enough values of the smaller sample.

    Parameters
    ----------
    cells : CellCounts
        Categories, or few numbers.
    outside : tuple of int, default (0, 0)
        Reference and current rows in categories that have no cell. These were left out for being rare in the reference
        alone, which looks at more than the joint counts: by chance some are rarer there than in the current sample. So
        they go with the rare ones, and what is rare by both samples together is drawn wide enough to hold them all.

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
    total = int(pooled.sum()) + sum(outside)
    least = _EXPECTED_CATEGORY * total / min(cells.n_reference + outside[0], cells.n_current + outside[1])
    if outside[0]:
        cutoff = int(cells.reference[cells.reference > 0].min())
        least = max(least, (cutoff + 3 * cutoff**0.5 + 3) * total / (cells.n_reference + outside[0]))
    common = int((counts.sum(axis=0) >= least).sum())
    if counts.shape[1] > _MOST_CATEGORIES:
        common = min(common, _MOST_CATEGORIES - 1)
    if common == counts.shape[1] and not outside[0]:
        return counts, None
    # Those too rare go together; if that is not enough, with the rarest of the others.
    rare = counts[:, common:].sum(axis=1) + np.array(outside)
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
