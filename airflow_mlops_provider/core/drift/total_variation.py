"""Total variation distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_bins import Bins, bins_of_cells, bins_of_values, divergence
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, check_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalVariation:
    """Total variation distance between reference and current.

    ``TV = sum_b |p_b - q_b| / 2`` over bins b with shares p of the reference and q of the current sample: the share of
    rows that would have to change their bin [1]_. Range [0, 1]. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] D. A. Levin, Y. Peres, Markov Chains and Mixing Times, 2nd ed., AMS 2017, proposition 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(TotalVariation().exact(reference, current), 4)
    0.2
    """

    key: ClassVar[str] = "total_variation"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric", "categorical")
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "share of rows"
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

    def term(p: Floats, q: Floats) -> Floats:
        return np.abs(p - q) / 2

    return divergence(bins, term, then=lambda total: min(total, 1.0))


METHOD = TotalVariation
