"""Gate on the challenger's own metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.gate_parameters import check_flag, check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult
from airflow_mlops_provider.core.metrics import find


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMetric:
    """The metric reaches a threshold.

    For an error metric (log loss, RMSE) the value must be at most the threshold.

    Parameters
    ----------
    metric : str
        Name of a metric of the task.
    threshold : float
        In the metric's units and range.
    use_interval : bool, default False
        Whether the worse bound of the confidence interval must reach it too, not just the value.
    """

    key: ClassVar[str] = "min_metric"
    kind: ClassVar[GateKind] = "value"

    metric: str
    threshold: float
    use_interval: bool = False

    def __post_init__(self) -> None:
        metric = find(self.metric)
        check_number(self.key, "threshold", self.threshold, low=metric.low, high=metric.high)
        check_flag(self.key, "use_interval", self.use_interval)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        found = evidence.measure(self.metric)
        bound = found.lower if found.greater_is_better else found.upper
        judged = bound if self.use_interval else found.value
        passed = judged >= self.threshold if found.greater_is_better else judged <= self.threshold
        what, side = "bound" if self.use_interval else "value", "least" if found.greater_is_better else "most"
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=(
                f"{self.metric} {found.value:.4f} [{found.lower:.4f}, {found.upper:.4f}] on {found.n_rows} rows: "
                f"the {what} must be at {side} {self.threshold:g}."
            ),
            observed=found.to_dict(),
            required={"metric": self.metric, "threshold": self.threshold, "use_interval": self.use_interval},
        )


GATE = MinMetric
