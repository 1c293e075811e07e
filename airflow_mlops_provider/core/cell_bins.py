"""Bins at the reference's quantiles, and divergences over them with what they can be at most and at least.

Methods that compare shares of bins (PSI, Jensen-Shannon, chi-square …) start here. It must never choose a bin by the
current sample, so that values of different windows can be compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.drift_method import Effect, is_numeric, numeric_values
from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts

    Floats = NDArray[np.float64]
    Term = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """Counts of two samples in common bins, each with what it can be at least and at most.

    Parameters
    ----------
    reference, current : float array, shape (3, b)
        Best estimate, smallest and largest possible count of each bin.
    n_reference, n_current : int
        Sizes of the samples.
    hidden : bool
        Whether a cell is so coarse that it may hide bins of its own.
    """

    reference: Floats
    current: Floats
    n_reference: int
    n_current: int
    hidden: bool = False


def bins_of_cells(cells: CellCounts, *, n_bins: int) -> Bins:
    """Merge cells into bins.

    Categories are their own bins. Numbers fall into (e_{k-1}, e_k], where e_k is the reference's k / n_bins quantile,
    the smallest value that at least that share does not exceed. A value that holds 1 / n_bins of the reference, or any
    value where the reference has at most n_bins of them, is a bin of its own, so that what lies between such values
    is seen.

    Parameters
    ----------
    cells : CellCounts
        Of a column.
    n_bins : int
        At least 2; without meaning for categories.

    Returns
    -------
    Bins
        Exact for categories and where no edge falls inside a cell.
    """
    import numpy as np

    if cells.lower is None or cells.upper is None:
        whole = cells.reference.astype(np.float64), cells.current.astype(np.float64)
        return Bins(
            reference=np.stack([whole[0]] * 3),
            current=np.stack([whole[1]] * 3),
            n_reference=cells.n_reference,
            n_current=cells.n_current,
        )
    r, c = cells.reference, cells.current
    n, single = cells.n_reference, cells.lower == cells.upper
    few = bool(single[r > 0].all()) and int((r > 0).sum()) <= n_bins
    heavy = (r > 0) if few else (r * n_bins >= n)
    own = np.flatnonzero(heavy & single)
    after = np.cumsum(r)
    needed = -(-np.arange(1, n_bins) * n // n_bins)
    at = np.searchsorted(after, needed, side="left")
    loose = ~single[at]
    share = np.where(loose, (needed - (after[at] - r[at])) / r[at], 1.0)
    # A cut's place is the number of cells before it; around single values it falls between cells.
    exact = np.concatenate([~loose, np.ones(2 * len(own), dtype=bool)])
    cuts = np.unique(np.stack([np.concatenate([at + share, own, own + 1.0]), exact]), axis=1)
    place, loose = cuts[0], cuts[1] == 0
    cell = np.where(loose, np.ceil(place) - 1, place).astype(np.int64)
    return Bins(
        reference=_between_cuts(r, cell, place, loose, from_below=False),
        current=_between_cuts(c, cell, place, loose, from_below=True),
        n_reference=n,
        n_current=cells.n_current,
        hidden=bool((heavy & ~single).any()),
    )


def _between_cuts(counts: Any, cell: Any, place: Any, loose: Any, *, from_below: bool) -> Floats:
    """Count between cuts; a loose cut lies somewhere in its cell, for the reference not before its quantile."""
    import numpy as np

    before = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    whole = before[np.minimum(cell + 1, len(counts))]
    start = before[cell]
    estimate = np.where(loose, start + (place - cell) * (whole - start), start)
    low = np.where(loose, start if from_below else estimate, start)
    high = np.where(loose, whole, start)
    total = before[-1]
    ends = [np.concatenate([[0.0], x, [total]]) for x in (estimate, low, high)]
    middle, low, high = ends
    return np.stack([np.diff(middle), np.maximum(low[1:] - high[:-1], 0.0), high[1:] - low[:-1]])


def bins_of_values(key: str, reference: NDArray[Any], current: NDArray[Any], *, n_bins: int) -> Bins:
    """Count values in the bins that :func:`bins_of_cells` describes."""
    import numpy as np

    if is_numeric(reference) and is_numeric(current):
        x, y = numeric_values(key, reference, current)
        values, counts = np.unique(x, return_counts=True)
        own = values if len(values) <= n_bins else values[counts * n_bins >= len(x)]
        edges = np.unique(np.sort(x)[-(-np.arange(1, n_bins) * len(x) // n_bins) - 1])
        edges = np.union1d(edges, own)

        def index(sample: Any) -> Any:
            return np.searchsorted(edges, sample, side="left") + np.searchsorted(own, sample, side="right")

        size = len(edges) + len(own) + 1
        r, c = (np.bincount(index(sample), minlength=size).astype(np.float64) for sample in (x, y))
    else:
        r, c = _count_categories(key, reference, current)
    return Bins(
        reference=np.stack([r, r, r]), current=np.stack([c, c, c]), n_reference=int(r.sum()), n_current=int(c.sum())
    )


def _count_categories(key: str, reference: NDArray[Any], current: NDArray[Any]) -> tuple[Floats, Floats]:
    import numpy as np

    for name, sample in (("reference", reference), ("current", current)):
        if len(sample) == 0:
            raise InputError(f"Drift method {key!r} got an empty {name} sample. Hint: compare at least one value.")
    names = [str(value) for sample in (reference, current) for value in sample]
    _, codes = np.unique(np.asarray(names), return_inverse=True)
    size = int(codes.max()) + 1
    first, second = codes[: len(reference)], codes[len(reference) :]
    r, c = (np.bincount(one, minlength=size).astype(np.float64) for one in (first, second))
    return r, c


def divergence(bins: Bins, term: Term, *, then: Callable[[float], float] = float, half_counts: bool = False) -> Effect:
    """Sum a divergence over bins, with its certified interval.

    Parameters
    ----------
    bins : Bins
        What to compare.
    term : callable
        ``f(p, q) >= 0`` of the shares p and q of one bin: 0 where p = q, and jointly convex, so that over what the
        shares can be it is largest in a corner and smallest where they are closest.
    then : callable
        Increasing function of the sum, e.g. the square root.
    half_counts : bool, default False
        Whether a bin that is empty in one sample counts as half a value there; one empty in both adds nothing.

    Returns
    -------
    Effect
    """
    import numpy as np

    counts = np.stack([bins.reference, bins.current])
    # Empty in both: by the estimate, if it can be, and for certain.
    empty, may_be_empty, is_empty = (counts == 0).all(axis=0)
    if half_counts:
        # Bounds too, before they are compared: half a value of few rows is a larger share than many rows of many.
        counts = np.maximum(counts, 0.5)
    p, p_low, p_high = counts[0] / bins.n_reference
    q, q_low, q_high = counts[1] / bins.n_current
    value = float(np.where(empty, 0.0, term(p, q)).sum())
    corners = [term(a, b) for a in (p_low, p_high) for b in (q_low, q_high)]
    upper = float(np.where(is_empty, 0.0, np.max(corners, axis=0)).sum())
    less, more = p_high < q_low, q_high < p_low
    nearest = term(np.where(less, p_high, p_low), np.where(less, q_low, q_high))
    lower = float(np.where((less | more) & ~may_be_empty, nearest, 0.0).sum())
    value, lower, upper = (then(max(x, 0.0)) for x in (value, lower, upper))
    if bins.hidden:
        lower, upper = 0.0, then(inf)
    return Effect(value=value, lower=min(lower, value), upper=max(upper, value))
