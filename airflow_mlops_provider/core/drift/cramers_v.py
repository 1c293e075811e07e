"""Cramer's V."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_bins import Bins, bins_of_cells, bins_of_values, divergence
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, check_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CramersV:
    """Cramer's V between the values and which sample they come from.

    ``V = sqrt(chi2 / (n + m))``, where chi2 is Pearson's statistic of the table of two samples by bins [1]_; samples
    of n and m values. Range [0, 1]. At given shares it is largest for samples of equal size. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] H. Cramer, Mathematical Methods of Statistics, Princeton 1946, section 21.9.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(CramersV().exact(reference, current), 4)
    0.2
    """

    key: ClassVar[str] = "cramers_v"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric", "categorical")
    threshold: ClassVar[float] = 0.2
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "association"
    test: ClassVar[CellTest] = "homogeneity"
    symmetric: ClassVar[bool] = True

    n_bins: int = 10

    def __post_init__(self) -> None:
        check_count("n_bins", f"drift method {self.key!r}", self.n_bins, low=2, high=1000)

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        return _effect(bins_of_cells(cells, n_bins=self.n_bins))

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        return _effect(bins_of_values(self.key, reference_values, current_values, n_bins=self.n_bins)).value


def _effect(bins: Bins) -> Effect:
    import numpy as np

    n, m = bins.n_reference, bins.n_current

    def term(p: Floats, q: Floats) -> Floats:
        pooled = n * p + m * q
        return n * m * (p - q) ** 2 / np.where(pooled > 0, pooled, 1.0) / (n + m)

    return divergence(bins, term, then=lambda total: min(sqrt(total), 1.0))


METHOD = CramersV
