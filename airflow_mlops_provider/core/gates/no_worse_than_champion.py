"""Gate against the champion: non-inferiority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.gate_parameters import check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult
from airflow_mlops_provider.core.metrics import find


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorseThanChampion:
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

    metric: str | None = None
    margin: float = 0.01

    def __post_init__(self) -> None:
        if self.metric is not None:
            find(self.metric)
        check_number(self.key, "margin", self.margin, low=0.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        found = evidence.difference(evidence.champion, name="champion", metric=self.metric)
        passed = found.lower >= -self.margin
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=(
                f"{found.describe(against='champion')}. "
                f"{'Shown' if passed else 'Not shown'} to be worse by at most {self.margin:g}."
            ),
            observed=found.to_dict(),
            required={"metric": found.metric, "margin": self.margin},
        )


GATE = NoWorseThanChampion
