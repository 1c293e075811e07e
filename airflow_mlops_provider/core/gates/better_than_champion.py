"""Gate against the champion: superiority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from airflow_mlops_provider.core.difference_gate import DifferenceGate
from airflow_mlops_provider.core.gating import GateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BetterThanChampion(DifferenceGate):
    """The challenger is better than the champion by more than a margin.

    The lower bound of the paired difference on the same rows must be above the margin, so a model that is not better is
    promoted with a probability of about (1 - confidence) / 2 at most: 2.5 % at 95 %.

    Parameters
    ----------
    metric : str, optional
        Name of a metric of the task; by default ROC AUC for classes, RMSE for regression.
    margin : float, default 0.0
        At least 0, in the metric's units.

    References
    ----------
    .. [1] E. R. DeLong et al., Comparing the areas under two or more correlated receiver operating characteristic
       curves, Biometrics 44 (1988) 837-845 (ROC AUC).
    .. [2] B. Efron, Better bootstrap confidence intervals, JASA 82 (1987) 171-185 (other metrics).
    """

    key: ClassVar[str] = "better_than_champion"
    kind: ClassVar[GateKind] = "change"
    against: ClassVar[Literal["baseline", "champion"]] = "champion"


GATE = BetterThanChampion
