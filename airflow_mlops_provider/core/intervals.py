"""Confidence intervals in closed form: proportions, functions of them, and areas under curves from their variance.

They must never claim certainty because the sample was perfect: at 0 and 1 the score intervals keep their width.
"""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Interval = tuple[float, float]


def normal_quantile(confidence: float) -> float:
    """Return the two-sided standard normal quantile, 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: float, trials: float, *, confidence: float) -> Interval:
    """Score interval of a proportion.

    The p with ``|successes/trials - p| <= z * sqrt(p * (1 - p) / trials)``. No trials give (0, 1).

    Parameters
    ----------
    successes, trials : float
        Counts, 0 <= successes <= trials.
    confidence : float
        Two-sided, in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper bound in [0, 1].

    References
    ----------
    .. [1] E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209-212.
    """
    if trials == 0:
        return 0.0, 1.0
    # Counts may come as NumPy's numbers, which JSON does not know.
    successes, trials = float(successes), float(trials)
    z2 = normal_quantile(confidence) ** 2
    share = successes / trials
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = sqrt(z2 * share * (1 - share) / trials + (z2 / (2 * trials)) ** 2) / (1 + z2 / trials)
    # At 0 and 1 the bound is exactly there; rounding would leave 1e-17 beside it.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)


def mean_of_proportions(successes: Floats, trials: Floats, *, confidence: float) -> Interval:
    """Interval of the unweighted mean of independent proportions.

    ``mean(p) -+ sqrt(sum((p_k - bound_k)**2)) / K`` with Wilson's bounds (the MOVER construction).

    Parameters
    ----------
    successes, trials : float arrays, shape (K,)
        Counts of each proportion.
    confidence : float
        Two-sided, in (0, 1).

    References
    ----------
    .. [1] G. Y. Zou, A. Donner, Construction of confidence limits about effect measures: a general approach,
       Statistics in Medicine 27 (2008) 1693-1702, section 2.
    """
    import numpy as np

    share = successes / np.maximum(trials, 1)
    bounds = np.array([wilson(s, t, confidence=confidence) for s, t in zip(successes, trials, strict=True)])
    below, above = np.sqrt(np.sum((share[:, None] - bounds) ** 2, axis=0)) / len(share)
    centre = float(share.mean())
    return centre - float(below), centre + float(above)


def f1_from_counts(hits: float, union: float, *, confidence: float) -> Interval:
    """Interval of F1 from true positives and the rows that are positive in truth, prediction or both.

    ``F1 = 2 J / (1 + J)`` rises with ``J = TP / (TP + FP + FN)``, and given its denominator TP is binomial, so
    Wilson's bounds of J become those of F1.

    References
    ----------
    .. [1] K. F. Y. Lam, V. Gopal, J. Qian, Confidence intervals for the F1 score: a comparison of four methods,
       arXiv:2309.14621 (2023), the Wilson indirect method.
    """
    lower, upper = wilson(hits, union, confidence=confidence)
    return 2 * lower / (1 + lower), 2 * upper / (1 + upper)


def logit_normal(value: float, variance: float, *, confidence: float) -> Interval:
    """Interval of a share of (0, 1) from its variance, symmetric on the logit scale so that it stays inside.

    ``logit(value) -+ z * sqrt(variance) / (value * (1 - value))``, transformed back.

    References
    ----------
    .. [1] M. S. Pepe, The Statistical Evaluation of Medical Tests for Classification and Prediction, Oxford University
       Press 2003, p. 107.
    """
    centre = log(value / (1 - value))
    half = normal_quantile(confidence) * sqrt(variance) / (value * (1 - value))

    def share(x: float) -> float:
        # Of the two equal forms, the one whose exponential cannot overflow.
        return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))

    return share(centre - half), share(centre + half)


def roc_area_score(area: float, positives: int, negatives: int, *, confidence: float) -> Interval:
    """Score interval of an area under the ROC curve, for where DeLong's variance is 0.

    The t with ``|area - t| <= z * sqrt(V(t))``, ``V(t) = t (1 - t) (1 + N (1 - t) / (2 - t) + N t / (1 + t)) / (m n)``
    and ``N = (m + n) / 2 - 1`` for m positives and n negatives.

    References
    ----------
    .. [1] R. G. Newcombe, Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2,
       Statistics in Medicine 25 (2006) 559-573, method 5.
    """
    from scipy.optimize import brentq

    z2 = normal_quantile(confidence) ** 2
    weight = (positives + negatives) / 2 - 1

    def excess(t: float) -> float:
        variance = t * (1 - t) * (1 + weight * (1 - t) / (2 - t) + weight * t / (1 + t)) / (positives * negatives)
        return z2 * variance - (area - t) ** 2

    # The root at the area itself, when that is 0 or 1, is the bound on its side.
    lower = 0.0 if area <= 0 else float(brentq(excess, 0.0, area - 1e-9 if area >= 1 else area))
    upper = 1.0 if area >= 1 else float(brentq(excess, area + 1e-9 if area <= 0 else area, 1.0))
    return lower, upper
