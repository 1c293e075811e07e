"""Wasserstein distance in standard deviations of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
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

    From cells, values are taken to lie evenly inside a cell; the interval allows for any place. A cell without a finite
    bound counts as a point in the value and makes the upper bound infinite.

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
        # Scaled first: the width of a cell at 1e308 is more than a float holds.
        starts, ends = steps.lower / scale, steps.upper / scale
        width = np.where(np.isfinite(ends - starts), ends - starts, 0.0)
        gaps = np.abs(steps.after[:-1]) * np.maximum(starts[1:] - ends[:-1], 0.0)
        between = float(gaps.sum())
        largest = np.maximum(np.abs(steps.lowest), np.abs(steps.highest))
        smallest = np.maximum(0.0, np.maximum(steps.lowest, -steps.highest))
        value, lower, upper = (between + float((width * x).sum()) for x in (steps.mean_size(), smallest, largest))
        if not cells.reference_std and not steps.single.all():
            return Effect(value=value, lower=0.0, upper=inf)
        open_ended = ~np.isfinite(ends - starts) & (largest > 0)
        return Effect(value=value, lower=min(lower, value), upper=inf if open_ended.any() else max(upper, value))

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        import numpy as np
        from scipy.stats import wasserstein_distance

        reference, current = numeric_values(self.key, reference_values, current_values)
        # Divided by the largest value first, so that no square overflows.
        top = max(float(np.abs(reference).max()), float(np.abs(current).max())) or 1.0
        reference, current = reference / top, current / top
        # The deviation of equal values is often not 0 but a rounding.
        scaled_by = reference if np.ptp(reference) > 0 else np.concatenate([reference, current])
        scale = float(np.std(scaled_by)) if np.ptp(scaled_by) > 0 else 0.0
        return float(wasserstein_distance(reference, current)) / scale if scale > 0 else 0.0


METHOD = Wasserstein
