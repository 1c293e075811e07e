"""Cramer-von Mises statistic."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_steps import steps_of
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, numeric_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class CramerVonMises:
    """Cramer-von Mises statistic of reference and current.

    ``T = n m / (n + m)^2 sum_z (F(z) - G(z))^2`` over all values z of both samples, with the empirical distribution
    functions F of the reference (n values) and G of the current sample (m values) [1]_. Range [0, inf). It grows with
    the samples, so its default threshold is 0: significance alone decides. Without ties it is SciPy's statistic; with
    ties the definition is kept as it stands, while SciPy's ranks can give negative values. From cells, differences are
    taken to change evenly inside a cell; the interval allows for any course.

    References
    ----------
    .. [1] T. W. Anderson, On the distribution of the two-sample Cramer-von Mises criterion, Ann. Math. Statist. 33
       (1962) 1148-1159, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> CramerVonMises().exact(np.arange(4.0), np.arange(4.0) + 0.5)
    0.0625
    """

    key: ClassVar[str] = "cramer_von_mises"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    threshold: ClassVar[float] = 0.0
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "statistic"
    test: ClassVar[CellTest] = "ordered"
    symmetric: ClassVar[bool] = True

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        import numpy as np

        steps = steps_of(self.key, cells)
        n, m = cells.n_reference, cells.n_current
        weight = (cells.reference + cells.current) * (n / (n + m) * m / (n + m))
        even = (steps.before**2 + steps.before * steps.after + steps.after**2) / 3
        value = np.where(steps.single, steps.after**2, even)
        largest = np.maximum(steps.lowest**2, steps.highest**2)
        smallest = np.maximum(0.0, np.maximum(steps.lowest, -steps.highest)) ** 2
        total, lower, upper = (float((weight * x).sum()) for x in (value, smallest, largest))
        return Effect(value=total, lower=min(lower, total), upper=max(upper, total))

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        import numpy as np

        reference, current = (np.sort(x) for x in numeric_values(self.key, reference_values, current_values))
        n, m = len(reference), len(current)
        pooled = np.concatenate([reference, current])
        f = np.searchsorted(reference, pooled, side="right") / n
        g = np.searchsorted(current, pooled, side="right") / m
        return float(((f - g) ** 2).sum() * (n / (n + m) * m / (n + m)))


METHOD = CramerVonMises
