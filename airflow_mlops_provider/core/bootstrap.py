"""The bootstrap of statistics that are functions of sums over rows: a resample is a row of a matrix product.

It must never return a bound that is not a finite number, and its cost must stop growing with the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from statistics import NormalDist
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.intervals import Interval, normal_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

# More rows are resampled in this many random blocks: the spread of a mean over blocks of exchangeable rows is that
# over the rows, and the cost stops growing with the table.
MAX_UNITS = 10_000
# Below this share of usable resamples the rest would describe another population.
_MIN_USABLE_SHARE = 0.9


def check_finite(name: str, *values: float) -> None:
    """Raise :class:`InputError` for NaN and infinity, so that neither ever gets out."""
    if not all(isfinite(value) for value in values):
        raise InputError(
            f"{name} is not a finite number: {', '.join(map(str, values))}. "
            "Hint: look for extreme values in the target and the predictions."
        )


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
        The statistic is not finite, or undefined on more than a tenth of the resamples.

    References
    ----------
    .. [1] B. Efron, Better bootstrap confidence intervals, JASA 82 (1987) 171-185, equations 2.3 and 6.6.
    """
    import numpy as np

    value = statistic(units.total)
    check_finite(name, float(value))
    drawn = statistic(resampled)
    usable = drawn[np.isfinite(drawn)]
    if len(usable) < _MIN_USABLE_SHARE * len(drawn):
        raise InputError(
            f"{name} has no interval: it is undefined on {len(drawn) - len(usable)} of {len(drawn)} resamples of the "
            f"{int(units.counts.sum())} rows. Hint: evaluate on more rows, of the rarest class above all."
        )
    normal = NormalDist()
    below = (np.mean(usable < value) + np.mean(usable <= value)) / 2
    # A value outside all resamples is moved just inside; its quantile would be infinite.
    bias = normal.inv_cdf(float(np.clip(below, 0.5 / len(usable), 1 - 0.5 / len(usable))))
    left_out = statistic(units.total - units.contributions)
    kept = np.isfinite(left_out)
    counts, left_out = units.counts[kept], left_out[kept]
    deviation = counts @ left_out / max(counts.sum(), 1) - left_out
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
