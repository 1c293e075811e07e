"""What all drift methods over shares of bins have in common; which effect the shares have is each method's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_bins import Bins, bins_of_cells, bins_of_values
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, check_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedMethod:
    """A drift method that compares how the rows of both sides are spread over the same bins.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.
    """

    key: ClassVar[str]
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric", "categorical")
    test: ClassVar[CellTest] = "homogeneity"
    symmetric: ClassVar[bool] = True

    n_bins: int = 10

    def __post_init__(self) -> None:
        check_count("n_bins", f"drift method {self.key!r}", self.n_bins, low=2, high=1000)

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        return self.effect(bins_of_cells(cells, n_bins=self.n_bins))

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        return self.effect(bins_of_values(self.key, reference_values, current_values, n_bins=self.n_bins)).value

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins, with its bounds."""
        raise NotImplementedError
