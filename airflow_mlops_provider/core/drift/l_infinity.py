"""L-infinity distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_bins import Bins, bins_of_cells, bins_of_values
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class LInfinity:
    """Largest change of the share of one category.

    ``max_b |p_b - q_b|`` over categories b with shares p of the reference and q of the current sample [1]_; TFX, Vertex
    AI and SageMaker know it by this name. Range [0, 1].

    References
    ----------
    .. [1] E. Breck et al., Data validation for machine learning, MLSys 2019 (d_inf, against drift and skew).

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(LInfinity().exact(reference, current), 4)
    0.2
    """

    key: ClassVar[str] = "l_infinity"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("categorical",)
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "share of rows"
    test: ClassVar[CellTest] = "homogeneity"
    symmetric: ClassVar[bool] = True

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        value = _largest(bins_of_cells(cells, n_bins=2))
        return Effect(value=value, lower=value, upper=value)

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        return _largest(bins_of_values(self.key, reference_values, current_values, n_bins=2))


def _largest(bins: Bins) -> float:
    import numpy as np

    return float(np.abs(bins.reference[0] / bins.n_reference - bins.current[0] / bins.n_current).max())


METHOD = LInfinity
