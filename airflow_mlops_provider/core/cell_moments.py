"""Mean, standard deviation and quantiles of a sample known by its cells alone, with bounds of their error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Mean and population standard deviation with the greatest error that the cells allow.

    Parameters
    ----------
    mean, std : float
        Of the values moved to the middle of their cells.
    mean_error, std_error : float
        The exact figures differ by no more, up to rounding.
    """

    mean: float
    mean_error: float
    std: float
    std_error: float


def moments(lower: Floats, upper: Floats, counts: Ints) -> Moments:
    """Compute mean and standard deviation from cells.

    Moving each value to the middle m_i of its cell of half-width h_i moves the mean by at most ``sum(w_i h_i)`` and,
    the standard deviation being a seminorm, that by at most ``sqrt(sum(w_i h_i**2))``, w_i being the shares.

    Parameters
    ----------
    lower, upper : float64 arrays, shape (k,)
        Finite bounds of the cells.
    counts : int array, shape (k,)
        At least one value in all.

    Returns
    -------
    Moments
        Finite unless the true figures are not.
    """
    import numpy as np

    shares = counts / counts.sum()
    half = upper / 2 - lower / 2
    middle = lower + half
    mean = float(shares @ middle)
    # Scaled, because squares of values beyond 1e154 overflow.
    unit = float(max(np.abs(middle - mean).max(), half.max())) if np.isfinite(mean) else 1.0
    unit = unit or 1.0
    std = unit * float(np.sqrt(shares @ ((middle - mean) / unit) ** 2))
    std_error = unit * float(np.sqrt(shares @ (half / unit) ** 2))
    return Moments(mean=mean, mean_error=float(shares @ half), std=std, std_error=std_error)


def quantiles(lower: Floats, upper: Floats, counts: Ints, probabilities: Floats) -> Floats:
    """Interpolate quantiles within cells.

    Parameters
    ----------
    lower, upper : float64 arrays, shape (k,)
        Finite bounds of the cells, in increasing order.
    counts : int array, shape (k,)
        At least one value in all.
    probabilities : float64 array, shape (q,)
        From 0 to 1.

    Returns
    -------
    float64 array, shape (q,)
        Each lies in the cell of the order statistic ``ceil(p * n)`` (the inverse of the empirical distribution
        function; method ``"inverted_cdf"`` of ``numpy.quantile``), so it is off by at most that cell's width.
    """
    import numpy as np

    n = int(counts.sum())
    ranks = np.clip(np.ceil(probabilities * n), 1, n)
    upto = np.cumsum(counts)
    cell = np.searchsorted(upto, ranks, side="left")
    # The middle of the rank's share of the cell.
    inside = (ranks - (upto[cell] - counts[cell]) - 0.5) / counts[cell]
    found: Floats = lower[cell] + (upper[cell] - lower[cell]) * inside
    return found
