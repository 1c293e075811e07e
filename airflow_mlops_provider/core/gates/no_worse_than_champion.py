"""Gate against the champion: non-inferiority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from airflow_mlops_provider.core.difference_gate import DifferenceGate
from airflow_mlops_provider.core.gating import GateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorseThanChampion(DifferenceGate):
    """The challenger is not worse than the champion by more than a margin.

    The lower bound of the paired difference on the same rows must be at least minus the margin. For regular retraining,
    where a fresh model as good as the old one is wanted. For RMSE and MAE set the margin in units of the target.

    Parameters
    ----------
    metric : str, optional
        Name of a metric of the task; by default ROC AUC for classes, RMSE for regression.
    margin : float, default 0.01
        At least 0, in the metric's units.

    References
    ----------
    .. [1] J.-P. Liu et al., Tests of equivalence and non-inferiority for diagnostic accuracy based on the paired areas
       under ROC curves, Statistics in Medicine 25 (2006) 1219-1238.
    """

    key: ClassVar[str] = "no_worse_than_champion"
    kind: ClassVar[GateKind] = "change"
    against: ClassVar[Literal["baseline", "champion"]] = "champion"
    claim: ClassVar[str] = "worse by at most"

    margin: float = 0.01

    def accepts(self, lower: float) -> bool:
        """Tell whether the lower bound is high enough."""
        return lower >= -self.margin


GATE = NoWorseThanChampion
