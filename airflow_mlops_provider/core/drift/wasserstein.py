"""Wasserstein distance in standard deviations of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, inf, ldexp
from sys import float_info
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_steps import pooled_scale, steps_of
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, numeric_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Wasserstein:
    """Wasserstein-1 distance, divided by the reference's standard deviation.

    ``W = (1 / s) integral |F(x) - G(x)| dx`` with the empirical distribution functions F of the reference and G of the
    current sample and the reference's standard deviation s: how far, in standard deviations, the mean row must move
    [1]_. Range [0, inf); a shift of all values by 0.1 s gives 0.1, the threshold of Evidently. A reference without
    spread has no scale; the standard deviation of both samples together then takes its place.

    From cells, values are taken to lie evenly inside a cell; the interval allows for any place, and for the error of
    the standard deviation. A cell without a finite bound counts as a point in the value and makes the upper bound
    infinite. A distance beyond the largest float is that float.

    References
    ----------
    .. [1] S. S. Vallender, Calculation of the Wasserstein distance between probability distributions on the line,
       Theory Probab. Appl. 18 (1974) 784-786.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([-1.0, 1.0])
    >>> Wasserstein().exact(values, values + 0.5)
    0.5
    """

    key: ClassVar[str] = "wasserstein"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "reference standard deviations"
    test: ClassVar[CellTest] = "ordered"
    symmetric: ClassVar[bool] = False

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        import numpy as np

        steps = steps_of(self.key, cells)
        scale = cells.reference_std or pooled_scale(cells)
        if scale == 0.0:
            return Effect(value=0.0, lower=0.0, upper=0.0)
        # In a unit near the largest bound, so that no width and no quotient overflows; a power of two rounds nothing.
        bounds = np.concatenate([steps.lower, steps.upper])
        unit = _exponent(bounds[np.isfinite(bounds)])
        starts, ends = np.ldexp(steps.lower, -unit), np.ldexp(steps.upper, -unit)
        width = np.where(np.isfinite(ends - starts), ends - starts, 0.0)
        gaps = np.abs(steps.after[:-1]) * np.maximum(starts[1:] - ends[:-1], 0.0)
        between = float(gaps.sum())
        largest = np.maximum(np.abs(steps.lowest), np.abs(steps.highest))
        smallest = np.maximum(0.0, np.maximum(steps.lowest, -steps.highest))
        distances = [between + float((width * x).sum()) for x in (steps.mean_size(), smallest, largest)]
        error = cells.reference_std_error if cells.reference_std else 0.0
        scales = (scale, scale + error, scale - error)
        value, lower, upper = (_quotient(x, unit, by) for x, by in zip(distances, scales, strict=True))
        if not cells.reference_std and not steps.single.all():
            return Effect(value=value, lower=0.0, upper=inf)
        open_ended = ~np.isfinite(ends - starts) & (largest > 0)
        return Effect(value=value, lower=min(lower, value), upper=inf if open_ended.any() else max(upper, value))

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        import numpy as np
        from scipy.stats import wasserstein_distance

        reference, current = numeric_values(self.key, reference_values, current_values)
        both = np.concatenate([reference, current])
        # The distance in a unit near the largest value of both, the deviation in the reference's own: beside values of
        # 1e308 the squares of ordinary ones would be 0.
        unit = _exponent(both)
        distance = float(wasserstein_distance(np.ldexp(reference, -unit), np.ldexp(current, -unit)))
        scaled_by = reference if reference.min() < reference.max() else both
        own = _exponent(scaled_by)
        deviation = _deviation(np.ldexp(scaled_by, -own))
        return _quotient(distance, unit - own, deviation) if deviation else 0.0


def _exponent(values: NDArray[Any]) -> int:
    """Return the power of two just above all values."""
    import numpy as np

    return frexp(float(np.abs(values).max(initial=0.0)))[1]


def _deviation(values: NDArray[Any]) -> float:
    """Return the standard deviation, from the least value on: that of equal values is 0, not a rounding."""
    import numpy as np

    low, span = float(values.min()), float(np.ptp(values))
    return float(np.std((values - low) / span)) * span if span else 0.0


def _quotient(distance: float, exponent: int, scale: float) -> float:
    """Return ``distance * 2**exponent / scale``, at most the largest float; infinity where there is no scale."""
    if scale <= 0.0:
        return inf if distance else 0.0
    part, own = frexp(scale)
    try:
        return ldexp(distance / part, exponent - own)
    except OverflowError:
        return float_info.max


METHOD = Wasserstein
