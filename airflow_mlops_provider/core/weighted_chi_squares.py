"""The law of weighted sums of chi-square variables, which quadratic statistics follow; must keep far tails right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def tail_of_weighted_chi_squares(value: float, weights: Floats) -> float:
    """Probability that ``sum_j w_j X_j`` exceeds a value, X_j independent chi-square of one degree of freedom.

    Smirnov's alternating sum over pairs of weights of ``1/pi * integral from 1/(2 w_1) to 1/(2 w_2) of exp(-u x) / (u
    sqrt(-D(u))) du`` with ``D(u) = prod_j (1 - 2 w_j u)``, each by Gauss-Chebyshev quadrature, which removes the
    singularities at both ends. Accurate relative to the probability, however small; far below the mean, where every
    pair counts, to 1e-6 absolute.

    Parameters
    ----------
    value : float
        At least 0.
    weights : float array, shape (k,)
        Positive, in decreasing order.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    .. [1] D. Slepian, Fluctuations of random noise power, Bell System Tech. J. 37 (1958) 163-184, section 4.

    Examples
    --------
    Two equal weights make an exponential distribution:

    >>> import numpy as np
    >>> round(tail_of_weighted_chi_squares(3.0, np.array([0.5, 0.5])) / float(np.exp(-3.0)), 6)
    1.0
    """
    import numpy as np

    if value <= 0.0:
        return 1.0
    poles = 0.5 / weights
    odd = len(poles) % 2
    starts, ends = poles[0 : len(poles) - odd : 2], poles[1::2]
    # Later pairs add less than exp(-40) of the first.
    kept = max(int(np.searchsorted((starts - poles[0]) * value, 40.0)), 1) if len(starts) else 0
    odd = odd if kept == len(starts) else 0
    starts, ends = starts[:kept], ends[:kept]
    nodes = 48
    angle = (np.arange(nodes) + 0.5) * np.pi / nodes
    u = ((starts + ends) / 2)[:, None] + ((ends - starts) / 2)[:, None] * np.cos(angle)
    # log |D(u) / ((u - start) (end - u))| without the pair's own two factors, which the quadrature takes in.
    factors = np.log(np.abs(u[:, :, None] / poles - 1) + 1e-300)
    pair = np.arange(len(starts))
    factors[pair, :, 2 * pair] = -np.log(starts)[:, None]
    factors[pair, :, 2 * pair + 1] = -np.log(ends)[:, None]
    terms = np.exp(-u * value - factors.sum(axis=2) / 2) / u
    signs = np.where(pair % 2 == 0, 1.0, -1.0)
    total = float((signs * terms.mean(axis=1)).sum())
    if odd:
        total += (1 if len(starts) % 2 == 0 else -1) * _last_pole(value, poles)
    return min(max(total, 0.0), 1.0)


def _last_pole(value: float, poles: Floats) -> float:
    """Integrate from the last pole on, which an odd number of weights leaves without partner."""
    import numpy as np

    # u = pole + t^2 removes the singularity; exp(-value t^2) ends it.
    edge = 8.0 / np.sqrt(value)
    t = (np.arange(400) + 0.5) / 400 * edge
    u = poles[-1] + t**2
    factors = np.log(np.abs(u[:, None] / poles[:-1] - 1) + 1e-300).sum(axis=1) - np.log(poles[-1])
    terms = 2 * np.exp(-u * value - factors / 2) / u
    return float(terms.mean() * edge / np.pi)
