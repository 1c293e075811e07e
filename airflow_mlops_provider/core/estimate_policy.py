"""What counts as an estimated drop, and what an estimate of performance says; standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops_provider.core.drift_method import check_count, check_number
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import find
from airflow_mlops_provider.core.performance_policy import DEFAULT_DROP, DEFAULT_RELATIVE_DROP
from airflow_mlops_provider.core.policy import Policy

if TYPE_CHECKING:
    from airflow_mlops_provider.core.estimate import MetricEstimate

EstimateVerdict = Literal["drop", "no_drop", "insufficient_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatePolicy(Policy):
    """When an estimate is worth anything, and when it is a drop.

    A drop is both certain (the whole interval of the difference is on the bad side of 0) and large enough to matter.

    Parameters
    ----------
    metric : str, optional
        What is judged. Default: the version's deciding metric.
    max_drop : float, optional
        A drop matters from here on, in units of the metric, at least 0; 0 leaves the decision to certainty. Default:
        0.02, for log loss 5 % of the held-out value.
    window_days : float, optional
        How long the window is, above 0; it ends at the end of the check's window. Default: all rows scored before.
    min_rows : int, default 200
        Scored rows needed.
    min_reference_rows : int, default 200
        Held-out rows needed, from whose labels the meaning of probabilities is learned.
    min_class_rows : int, default 20
        Held-out rows needed of each class.
    max_calibration_error : float, default 0.05
        How far calibrated probabilities may be off on the held-out rows on average, beyond chance; in [0, 1].
    max_outside_share : float, default 0.1
        Share of rows with a score beyond all held-out ones, about whose meaning nothing is known.
    confidence : float, default 0.95
        Of the intervals.
    n_resamples : int, default 400
        For the intervals, at least 100.
    seed : int, default 0
        Of the resamples.

    Examples
    --------
    >>> EstimatePolicy.from_dict({"max_drop": 0.05}).max_drop
    0.05
    """

    metric: str | None = None
    max_drop: float | None = None
    window_days: float | None = None
    min_rows: int = 200
    min_reference_rows: int = 200
    min_class_rows: int = 20
    max_calibration_error: float = 0.05
    max_outside_share: float = 0.1
    confidence: float = 0.95
    n_resamples: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if self.metric is not None:
            found = find(self.metric)
            if "regression" in found.tasks or found.name == "calibration_error":
                raise InputError(
                    f"metric of {owner} must be one that can be estimated without labels; got {self.metric!r}."
                )
        for name in ("max_drop", "window_days"):
            if getattr(self, name) is not None:
                check_number(name, owner, getattr(self, name), low=0.0)
        if self.window_days == 0:
            raise InputError(f"window_days of {owner} must be above 0; got 0. Hint: None takes all rows.")
        for name in ("min_rows", "min_reference_rows"):
            check_count(name, owner, getattr(self, name), low=2)
        check_count("min_class_rows", owner, self.min_class_rows, low=1)
        for name in ("max_calibration_error", "max_outside_share", "confidence"):
            check_number(name, owner, getattr(self, name), low=0.0, high=1.0)
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence of {owner} must lie between 0 and 1; got {self.confidence!r}.")
        check_count("n_resamples", owner, self.n_resamples, low=100)
        check_count("seed", owner, self.seed, low=0)

    def floor(self, metric: str, reference: float) -> float:
        """Return the least drop of a metric that matters, given its value on the held-out rows."""
        if self.max_drop is not None:
            return self.max_drop
        return DEFAULT_RELATIVE_DROP * abs(reference) if find(metric).high > 1 else DEFAULT_DROP

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateReport:
    """What an estimate of performance says.

    Parameters
    ----------
    verdict : {"drop", "no_drop", "insufficient_data"}
    reasons : tuple of str
        Why.
    metric : str
        What was judged.
    rows, reference_rows : int
        Scored ones, and held-out ones.
    estimates : mapping of str to MetricEstimate
        All metrics; empty where nothing can be estimated.
    calibration_error : mapping of str to float
        How far probabilities are off on the held-out rows on average: ``model`` as the model gives them,
        ``calibrated`` as the estimate uses them; ``p_value`` is the chance of the latter.
    outside_share : float or None
        Share of rows with a score beyond all held-out ones.
    """

    verdict: EstimateVerdict
    reasons: tuple[str, ...]
    metric: str
    rows: int
    reference_rows: int
    estimates: Mapping[str, MetricEstimate] = field(default_factory=dict)
    calibration_error: Mapping[str, float] = field(default_factory=dict)
    outside_share: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "metric": self.metric,
            "rows": self.rows,
            "reference_rows": self.reference_rows,
            "estimates": {name: one.to_dict() for name, one in self.estimates.items()},
            "calibration_error": dict(self.calibration_error),
            "outside_share": self.outside_share,
        }
