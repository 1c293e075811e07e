"""Gate against a model that knows nothing of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from airflow_mlops_provider.core.difference_gate import DifferenceGate
from airflow_mlops_provider.core.gating import GateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsBaseline(DifferenceGate):
    """The challenger beats the baseline by more than a margin.

    The baseline predicts the distribution of the target. The lower bound of the paired difference on the same rows must
    be above the margin.

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

    key: ClassVar[str] = "beats_baseline"
    kind: ClassVar[GateKind] = "value"
    against: ClassVar[Literal["baseline", "champion"]] = "baseline"


GATE = BeatsBaseline
