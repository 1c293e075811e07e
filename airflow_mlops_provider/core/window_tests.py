"""Exact tests of a new window against a reference of which only counts are left; must never assume a distribution.

Each holds for any continuous distribution and any two sample sizes, because its null hypothesis is only that the
reference and the window are rows of one kind.
"""

from __future__ import annotations

from math import exp, log, log1p


def beyond_extreme_p(*, beyond: int, n_reference: int, n_current: int) -> float:
    """Return the chance of at least so many window values beyond the reference's extreme on one side.

    All orders of the n + m values are equally likely, so ``P(K >= k) = prod_{i<k} (m - i) / (n + m - i)``: the k
    outermost values all come from the window [1]_. Ties make the true chance smaller.

    Parameters
    ----------
    beyond : int
        Values of the window above the reference's maximum, or below its minimum.
    n_reference, n_current : int
        Values of each sample.

    Returns
    -------
    float
        From 0 to 1.

    References
    ----------
    .. [1] E. J. Gumbel, H. von Schelling, The distribution of the number of exceedances, Ann. Math. Statist. 21 (1950)
       247-262, section 2.

    Examples
    --------
    >>> beyond_extreme_p(beyond=1, n_reference=99, n_current=1)
    0.01
    """
    from scipy.special import gammaln

    k, n, m = beyond, n_reference, n_current
    if k <= 0:
        return 1.0
    if k > m or not n:
        return 0.0 if k > m else 1.0
    total = gammaln(m + 1) - gammaln(m - k + 1) - gammaln(n + m + 1) + gammaln(n + m - k + 1)
    return min(1.0, exp(float(total)))


def more_frequent_p(*, reference: tuple[int, int], current: tuple[int, int]) -> float:
    """Return the chance of a count as high as the window's when both samples have the same share.

    Fisher's exact test, one-sided: the hypergeometric tail given the total count [1]_.

    Parameters
    ----------
    reference, current : tuple of int
        Count and size of each sample.

    References
    ----------
    .. [1] A. Agresti, Categorical Data Analysis, 3rd ed., Wiley 2013, section 3.5.

    Examples
    --------
    >>> round(more_frequent_p(reference=(1, 4), current=(3, 4)), 4)
    0.2429
    """
    from scipy.stats import hypergeom

    (a, n), (b, m) = reference, current
    if not n or not m or not b:
        return 1.0
    return float(hypergeom.sf(b - 1, n + m, a + b, m))


def all_alike_p(*, n_value: int, n_reference: int, n_current: int) -> float:
    """Return a bound on the chance that all rows of a window hold one value.

    ``((c + 1) / (n + 1))^(m - 1)`` for c of n reference rows that hold it: the first row may hold any value, the others
    then hold the same; the added row keeps a value never seen from having no chance at all.

    Parameters
    ----------
    n_value : int
        Reference rows with that value.
    n_reference, n_current : int
        Rows of each sample.

    Examples
    --------
    >>> all_alike_p(n_value=49, n_reference=99, n_current=3)
    0.25
    """
    if not n_current:
        return 1.0
    return exp((n_current - 1) * (log(n_value + 1) - log1p(n_reference)))
