"""Confidence intervals: closed forms for proportions, ROC areas and influence functions, and a bootstrap of sums.

It knows nothing of models or metric names, and must never return an interval that claims certainty because the
sample was perfect: at 0 and 1 the score intervals keep their width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

Interval = tuple[float, float]

# More rows are resampled in this many random blocks: the spread of a mean over blocks of exchangeable rows is that
# over the rows, and the cost stops growing with the table.
MAX_UNITS = 10_000
# Below this share of usable resamples the rest would describe another population.
_MIN_USABLE_SHARE = 0.9


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
    from math import exp, log

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What is resampled: kinds of rows, how often each occurs, and what one of it adds to the sums of the metric.

    Parameters
    ----------
    contributions : float array, shape (units, sums)
        Added to the sums by one occurrence of the unit.
    counts : int array, shape (units,)
        Occurrences, >= 1.
    """

    contributions: Floats
    counts: Ints

    @property
    def total(self) -> Floats:
        """Sums over all occurrences, shape (sums,)."""
        return self.counts @ self.contributions


def in_blocks(contributions: Floats, *, seed: int) -> Units:
    """Make units of rows: each row by itself, or above `MAX_UNITS` rows that many random blocks of nearly one size."""
    import numpy as np

    rows = len(contributions)
    if rows > MAX_UNITS:
        block = np.random.default_rng(seed).permutation(rows) % MAX_UNITS
        # Column by column, because a reordered copy of the whole matrix would double the memory.
        contributions = np.column_stack([np.bincount(block, weights=column) for column in contributions.T])
    return Units(contributions=contributions, counts=np.ones(len(contributions), dtype=np.int64))


def bootstrap_sums(units: Units, *, n_resamples: int, seed: int) -> Floats:
    """Draw the occurrences again with replacement, `n_resamples` times.

    Returns
    -------
    float array, shape (n_resamples, sums)
        Sums of each resample.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    n_units, draws = len(units.counts), int(units.counts.sum())
    if draws > n_units:
        weights = rng.multinomial(draws, units.counts / draws, size=n_resamples)
        return np.asarray(weights @ units.contributions, dtype=np.float64)
    sums = np.empty((n_resamples, units.contributions.shape[1]))
    step = max(1, 2_000_000 // n_units)
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        drawn = rng.integers(0, n_units, size=(size, n_units)) + n_units * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n_units).reshape(size, n_units)
        sums[start : start + size] = weights @ units.contributions
    return sums


def bca(
    units: Units, resampled: Floats, statistic: Callable[[Floats], Floats], *, confidence: float, name: str
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval.

    Parameters
    ----------
    units : Units
        What was resampled; the acceleration comes from leaving out one occurrence at a time.
    resampled : float array, shape (n_resamples, sums)
        As :func:`bootstrap_sums` gives it.
    statistic : callable
        From sums, shape (..., sums), to values, shape (...). NaN where undefined.
    confidence : float
        Two-sided, in (0, 1).
    name : str
        For the error message.

    Raises
    ------
    InputError
        The statistic is undefined on more than a tenth of the resamples.

    References
    ----------
    .. [1] B. Efron, Better bootstrap confidence intervals, JASA 82 (1987) 171-185, equations 2.3 and 6.6.
    """
    import numpy as np

    drawn = statistic(resampled)
    usable = drawn[np.isfinite(drawn)]
    if len(usable) < _MIN_USABLE_SHARE * len(drawn):
        raise InputError(
            f"{name} has no interval: it is undefined on {len(drawn) - len(usable)} of {len(drawn)} resamples of the "
            f"{int(units.counts.sum())} rows. Hint: evaluate on more rows, of the rarest class above all."
        )
    normal = NormalDist()
    value = statistic(units.total)
    below = (np.mean(usable < value) + np.mean(usable <= value)) / 2
    # A value outside all resamples is moved just inside; its quantile would be infinite.
    bias = normal.inv_cdf(float(np.clip(below, 0.5 / len(usable), 1 - 0.5 / len(usable))))
    left_out = statistic(units.total - units.contributions)
    kept = np.isfinite(left_out)
    counts, left_out = units.counts[kept], left_out[kept]
    deviation = np.average(left_out, weights=counts) - left_out
    spread = float(counts @ deviation**2)
    acceleration = float(counts @ deviation**3) / (6 * spread**1.5) if spread**1.5 > 0 else 0.0

    def level(z: float) -> float:
        room = 1 - acceleration * (bias + z)
        # Past the pole the expansion has no meaning; before it the level tends to 0 or 1.
        return normal.cdf(bias + (bias + z) / room) if room > 0 else float(bias + z > 0)

    z = normal_quantile(confidence)
    lower, upper = np.quantile(usable, [level(-z), level(z)])
    return float(lower), float(upper)


def norm_interval(
    units: Units, resampled: Floats, statistic: Callable[[Floats], Floats], *, confidence: float
) -> Interval:
    """Interval of a norm of sums, where the usual bootstrap fails because noise alone makes a norm positive.

    Lower bound ``max(0, norm(observed) - q)`` with q the quantile of ``norm(resampled - observed)``: by the triangle
    inequality the norm of the truth is at most that far from the norm of the observed. Upper bound the quantile of
    ``norm(resampled)``. Conservative: at least nominal coverage, also where the truth is 0.

    Parameters
    ----------
    units, resampled, statistic, confidence
        As in :func:`bca`; the first sum is the number of rows.
    """
    import numpy as np

    total, level = units.total, 0.5 + confidence / 2
    noise = resampled - total
    noise[:, 0] = total[0]
    reach = np.quantile(statistic(noise), level)
    return max(0.0, float(statistic(total) - reach)), float(np.quantile(statistic(resampled), level))
