"""Kolmogorov-Smirnov statistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_steps import steps_of
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, numeric_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class KolmogorovSmirnov:
    """Largest difference between the distribution functions of reference and current.

    ``D = max_x |F(x) - G(x)|`` with the empirical distribution functions F of the reference and G of the current
    sample [1]_. Range [0, 1]; no unit, and the same under any increasing transformation of the column. 0.1 is
    SageMaker's threshold. From cells, the value at their bounds is a lower bound; inside a cell with shares p and q
    and a difference d at its start, the difference cannot leave [d - q, d + p].

    References
    ----------
    .. [1] N. V. Smirnov, Table for estimating the goodness of fit of empirical distributions, Ann. Math. Statist. 19
       (1948) 279-281.

    Examples
    --------
    >>> import numpy as np
    >>> KolmogorovSmirnov().exact(np.arange(10.0), np.arange(10.0) + 3)
    0.3
    """

    key: ClassVar[str] = "kolmogorov_smirnov"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "difference of shares"
    test: ClassVar[CellTest] = "ordered"
    symmetric: ClassVar[bool] = True

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        import numpy as np

        steps = steps_of(self.key, cells)
        value = float(np.abs(steps.after).max())
        inside = float(np.maximum(np.abs(steps.lowest), np.abs(steps.highest)).max())
        return Effect(value=value, lower=value, upper=min(max(value, inside), 1.0))

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        from scipy.stats import ks_2samp

        reference, current = numeric_values(self.key, reference_values, current_values)
        return float(ks_2samp(reference, current, method="asymp").statistic)


METHOD = KolmogorovSmirnov
