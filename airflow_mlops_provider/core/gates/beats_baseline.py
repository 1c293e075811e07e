"""Gate against a model that knows nothing of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.gate_parameters import check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult
from airflow_mlops_provider.core.metrics import find


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsBaseline:
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

    metric: str | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.metric is not None:
            find(self.metric)
        check_number(self.key, "margin", self.margin, low=0.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        found = evidence.difference(evidence.baseline, name="baseline", metric=self.metric)
        passed = found.lower > self.margin
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=(
                f"{found.describe(against='baseline')}. "
                f"{'Shown' if passed else 'Not shown'} to be better by more than {self.margin:g}."
            ),
            observed=found.to_dict(),
            required={"metric": found.metric, "margin": self.margin},
        )


GATE = BeatsBaseline
