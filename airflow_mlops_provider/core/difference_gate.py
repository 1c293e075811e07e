"""What all gates on a paired difference have in common; how large it must be is each gate's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from airflow_mlops_provider.core.gate_parameters import check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult
from airflow_mlops_provider.core.metrics import find


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceGate:
    """A gate on the lower bound of the difference between the challenger and another model on the same rows.

    Parameters
    ----------
    metric : str, optional
        Name of a metric of the task; by default ROC AUC for classes, RMSE for regression.
    margin : float, default 0.0
        At least 0, in the metric's units.
    """

    key: ClassVar[str]
    kind: ClassVar[GateKind]
    against: ClassVar[Literal["baseline", "champion"]]
    # What is shown when the gate passes; the margin follows.
    claim: ClassVar[str] = "better by more than"

    metric: str | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.metric is not None:
            find(self.metric)
        check_number(self.key, "margin", self.margin, low=0.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        other = evidence.baseline if self.against == "baseline" else evidence.champion
        found = evidence.difference(other, name=self.against, metric=self.metric)
        passed = self.accepts(found.lower)
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=(
                f"{found.describe(against=self.against)}. "
                f"{'Shown' if passed else 'Not shown'} to be {self.claim} {self.margin:g}."
            ),
            observed=found.to_dict(),
            required={"metric": found.metric, "margin": self.margin},
        )

    def accepts(self, lower: float) -> bool:
        """Tell whether the lower bound is high enough."""
        return lower > self.margin
