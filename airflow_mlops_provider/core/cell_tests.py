"""Whether two samples counted in common cells come from one distribution: p-values right at any pair of sizes.

It must never use random numbers but from the seed it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.cell_merging import merge_neighbours, merge_rare
from airflow_mlops_provider.core.weighted_chi_squares import tail_of_weighted_chi_squares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts
    from airflow_mlops_provider.core.drift_method import CellTest

# Merged cells of a numeric column: at most, and by expected values of the smaller sample in each.
_MOST_ORDERED, _EXPECTED_ORDERED = 64, 5
_MOST_HOMOGENEITY, _EXPECTED_HOMOGENEITY = 20, 10
# Below this expected count the far tail of chi-square, which corrections over many columns read, is up to twice too
# light (10^5 simulated tables); draws replace it where the p-value can change a decision.
_TRUSTED_EXPECTED = 50.0
_WORTH_DRAWING = (1e-6, 0.2)
# Draws stop after this many exceedances, or when this many counts were drawn.
_EXCEEDANCES = 20
_MOST_DRAWN_COUNTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTestResult:
    """A p-value and where it comes from.

    Parameters
    ----------
    p_value : float
        In [0, 1].
    test : str
        ``anderson_darling``, ``chi_square``, ``chi_square_permutation`` where draws replace it, either of these with
        ``_and_fisher`` where rare cells are tested apart, ``fisher``; or ``none`` where there is nothing to tell apart,
        as in a constant column.
    """

    p_value: float
    test: str


def cell_test(cells: CellCounts, *, test: CellTest, seed: int, outside: tuple[int, int] = (0, 0)) -> CellTestResult:
    """Test whether both samples come from one distribution.

    Assumes rows drawn independently. Under the null hypothesis, given the counts of both samples together, one sample's
    counts are multivariate hypergeometric; both tests are judged in that distribution.

    ``homogeneity`` is Pearson's chi-square over merged cells [1]_; rare cells that expect less than five values even
    together are tested apart by Fisher's exact test, and the smaller p-value doubled. ``ordered`` is the
    Anderson-Darling statistic over merged cells [2]_: ``A2 = sum_j w_j Z_j^2``, Z_j the standardised difference of the
    distribution functions at the border j and w_j the share of values around it. Its law is that of ``sum_j l_j X_j``
    with independent chi-square X_j of one degree of freedom and l_j the eigenvalues of the covariance of ``sqrt(w_j)
    Z_j``, which is known, so that ties and columns with few values get their own; the tail is Smirnov's integral [3]_.
    With fewer than four merged cells the order has nothing to add and ``homogeneity`` serves.

    Where an expected count is small and the p-value may matter, random draws from the hypergeometric distribution
    replace the chi-square distribution; they stop early where they can [4]_. The law of the Anderson-Darling statistic
    needs no such help: with 50 values against 50 or against a million, p <= 0.0005 occurs at most 1.3 times as often.

    Parameters
    ----------
    cells : CellCounts
        Of both samples.
    test : {"homogeneity", "ordered"}
        Which alternatives it looks for: any, or those that move mass along the order.
    seed : int
        Of the draws; the same cells and seed give the same result.
    outside : tuple of int, default (0, 0)
        Reference and current rows in categories that have no cell because they are rare in the reference.

    Returns
    -------
    CellTestResult

    References
    ----------
    .. [1] K. Pearson, Biometrika 8 (1911) 250-254.
    .. [2] F. W. Scholz, M. A. Stephens, K-sample Anderson-Darling tests, JASA 82 (1987) 918-924.
    .. [3] D. Slepian, Fluctuations of random noise power, Bell System Tech. J. 37 (1958) 163-184, section 4.
    .. [4] J. Besag, P. Clifford, Sequential Monte Carlo p-values, Biometrika 78 (1991) 301-304.

    Examples
    --------
    >>> import numpy as np
    >>> from airflow_mlops_provider.core.cells import CellCounts
    >>> cells = CellCounts(reference=np.array([600, 400]), current=np.array([450, 550]), labels=("no", "yes"))
    >>> found = cell_test(cells, test="homogeneity", seed=0)
    >>> found.test, f"{found.p_value:.3e}"
    ('chi_square', '1.860e-11')
    """
    import numpy as np

    if test == "ordered":
        counts = merge_neighbours(cells, expected=_EXPECTED_ORDERED, most=_MOST_ORDERED)
        if counts.shape[1] >= 4:
            return _anderson_darling(counts)
    used = (cells.reference + cells.current) > 0
    if not cells.ordered or int(used.sum()) <= _MOST_HOMOGENEITY:
        return _homogeneity(*merge_rare(cells, outside=outside), seed)
    counts = merge_neighbours(cells, expected=_EXPECTED_HOMOGENEITY, most=_MOST_HOMOGENEITY)
    if counts.shape[1] > 1:
        return _chi_square(counts, seed)
    # One value holds nearly all of both samples: what lies beside it is all there is to compare.
    beside = np.arange(len(used)) != np.argmax(cells.reference + cells.current)
    return _homogeneity(counts, np.array([cells.reference[beside].sum(), cells.current[beside].sum()]), seed)


def _homogeneity(merged: NDArray[np.int64], rare: NDArray[np.int64] | None, seed: int) -> CellTestResult:
    """Test the merged cells, and apart from them the rare ones that merging hid, at half the level each."""
    found = _chi_square(merged, seed)
    if rare is None:
        return found
    n, m = merged.sum(axis=1).tolist()
    beside = proportion_test(reference=(int(rare[0]), n), current=(int(rare[1]), m))
    if found.test == "none":
        return beside
    return CellTestResult(p_value=min(1.0, 2 * min(found.p_value, beside.p_value)), test=f"{found.test}_and_fisher")


def _chi_square(counts: NDArray[np.int64], seed: int) -> CellTestResult:
    from scipy.special import chdtrc

    if counts.shape[1] < 2:
        return CellTestResult(p_value=1.0, test="none")
    pooled, sizes = counts.sum(axis=0), counts.sum(axis=1)
    scale = float(sizes[0]) * float(sizes[1])

    def statistic(current: Any) -> Any:
        # sum (observed - expected)^2 / expected over both rows, from the second row alone.
        difference = (pooled - current) / sizes[0] - current / sizes[1]
        return scale * (difference**2 / pooled).sum(axis=-1)

    value = float(statistic(counts[1]))
    p_value = float(chdtrc(counts.shape[1] - 1, value))
    smallest = float(pooled.min() * sizes.min() / sizes.sum())
    if smallest >= _TRUSTED_EXPECTED or not _worth_drawing(p_value):
        return CellTestResult(p_value=p_value, test="chi_square")
    return CellTestResult(p_value=_draw(counts, statistic, value, seed), test="chi_square_permutation")


def _anderson_darling(counts: NDArray[np.int64]) -> CellTestResult:
    import numpy as np

    pooled, (n, m) = counts.sum(axis=0), counts.sum(axis=1).astype(np.float64)
    total = n + m
    share = pooled / total
    h = np.cumsum(share)[:-1]
    weight = (share[:-1] + share[1:]) / 2
    difference = np.cumsum(counts[0])[:-1] / n - np.cumsum(counts[1])[:-1] / m
    # The variance of F - G at a border, given the pooled counts, is h (1 - h) N^2 / ((N - 1) n m).
    variance = h * (1 - h) * (total / (total - 1) * total / n / m)
    value = float((weight * difference**2 / variance).sum())
    odds = h / (1 - h)
    correlation = np.sqrt(np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds))
    eigenvalues = np.linalg.eigvalsh(np.sqrt(np.outer(weight, weight)) * correlation)[::-1]
    return CellTestResult(p_value=tail_of_weighted_chi_squares(value, eigenvalues), test="anderson_darling")


def _worth_drawing(p_value: float) -> bool:
    return _WORTH_DRAWING[0] <= p_value <= _WORTH_DRAWING[1]


def _draw(counts: NDArray[np.int64], statistic: Any, observed: float, seed: int) -> float:
    """Share of random divisions of the pooled values in which the statistic is as large, with early stopping."""
    import numpy as np

    pooled, smaller = counts.sum(axis=0), int(counts.sum(axis=1).min())
    rng = np.random.default_rng(seed)
    mirrored = bool(counts[0].sum() < counts[1].sum())
    drawn = exceeded = 0
    size = 500
    # Rounding must not make the observed division rarer than itself.
    bound = observed * (1 - 1e-9)
    while drawn * len(pooled) < _MOST_DRAWN_COUNTS and exceeded < _EXCEEDANCES:
        sample = rng.multivariate_hypergeometric(pooled, smaller, size=size, method="marginals")
        exceeded += int((statistic(pooled - sample if mirrored else sample) >= bound).sum())
        drawn += size
        size = min(2 * size, 100_000 // len(pooled) + 1)
    return (exceeded + 1) / (drawn + 1)


def proportion_test(*, reference: tuple[int, int], current: tuple[int, int]) -> CellTestResult:
    """Test whether two samples have the same share, e.g. of missing values.

    Fisher's exact test, two-sided by probability [1]_; Pearson's chi-square where all four expected counts are above
    1,000, where both agree.

    Parameters
    ----------
    reference, current : tuple of int
        Successes and size of each sample.

    Returns
    -------
    CellTestResult
        ``none`` with p = 1 where no row or every row of both samples is a success.

    References
    ----------
    .. [1] A. Agresti, Categorical Data Analysis, 3rd ed., Wiley 2013, section 3.5.

    Examples
    --------
    >>> round(proportion_test(reference=(3, 4), current=(1, 4)).p_value, 4)
    0.4857
    """
    import numpy as np

    (a, n), (b, m) = reference, current
    hits, total = a + b, n + m
    if hits in (0, total) or not n or not m:
        return CellTestResult(p_value=1.0, test="none")
    smallest = min(hits, total - hits) * min(n, m) / total
    if smallest > 1000:
        return _chi_square(np.array([[a, n - a], [b, m - b]]), 0)
    return CellTestResult(p_value=_fisher(b, m, hits, total), test="fisher")


def _fisher(observed: int, size: int, hits: int, total: int) -> float:
    import numpy as np
    from scipy.special import gammaln

    low, high = max(0, size - (total - hits)), min(size, hits)
    mean = size * hits / total
    spread = np.sqrt(mean * (1 - hits / total) * (1 - size / total)) + 1
    # Beyond forty standard deviations nothing adds to a p-value; the observed count is always inside.
    low = max(low, min(int(mean - 40 * spread), observed))
    high = min(high, max(int(mean + 40 * spread) + 1, observed))
    k = np.arange(low, high + 1, dtype=np.float64)
    log_p = -np.sum([gammaln(x + 1) for x in (k, hits - k, size - k, total - hits - size + k)], axis=0)
    log_p -= log_p.max()
    p = np.exp(log_p)
    at = p[observed - low]
    return float(min(1.0, p[p <= at * (1 + 1e-7)].sum() / p.sum()))
