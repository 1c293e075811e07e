"""What counts as a silent failure of a model, and what a check of its predictions says; standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_mlops_provider.core.drift_method import check_count, check_number
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.policy import Policy
from airflow_mlops_provider.core.skew_policy import Severity

PredictionCheck = Literal["missing", "out_of_range", "unknown_class", "constant", "extreme", "shift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPolicy(Policy):
    """How far predictions may be from those the version made on its held-out rows.

    Missing predictions, impossible probabilities and classes the model does not know are never allowed.

    Parameters
    ----------
    score_shift : float, default 0.25
        Largest Wasserstein distance of the scores (or of a regression's predictions), in standard deviations of the
        held-out ones.
    class_shift : float, default 0.15
        Largest Jensen-Shannon distance (base 2) of the shares of predicted classes.
    extreme_margin : float, default 0.01
        Probabilities nearer than this to 0 or 1 are extreme. A regression's are those beyond all held-out ones.
    extreme_share_change : float, default 0.1
        Largest growth of the share of extreme scores.
    min_samples : int, default 100
        Predictions needed on both sides to judge shares.
    alpha : float, default 0.001
        Chance of any critical finding while nothing changed, at most.

    Examples
    --------
    >>> PredictionPolicy.from_dict({"score_shift": 0.5}).score_shift
    0.5
    """

    score_shift: float = 0.25
    class_shift: float = 0.15
    extreme_margin: float = 0.01
    extreme_share_change: float = 0.1
    min_samples: int = 100
    alpha: float = 0.001

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_number("score_shift", owner, self.score_shift, low=0.0, high=1e6)
        for name in ("class_shift", "extreme_margin", "extreme_share_change", "alpha"):
            check_number(name, owner, getattr(self, name), low=0.0, high=1.0)
        check_count("min_samples", owner, self.min_samples, low=2)
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha of {owner} must lie between 0 and 1; got {self.alpha!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionFinding:
    """What one check found in one column of the predictions.

    Parameters
    ----------
    column : str
        ``prediction`` or ``probability``.
    check : str
        Which check.
    severity : {"critical", "warning"}
        Whether it counts for the verdict.
    message : str
        One sentence with the numbers.
    observed, allowed : float or None
        What was measured and what the policy allows.
    """

    column: str
    check: PredictionCheck
    severity: Severity
    message: str
    observed: float | None = None
    allowed: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionReport:
    """What a check of predictions says.

    Parameters
    ----------
    verdict : {"sound", "suspicious", "insufficient_data"}
        ``insufficient_data``: nothing speaks against them, but there are too few to judge their shares.
    reasons : tuple of str
        Why they are suspicious, or why it cannot be told.
    findings : tuple of PredictionFinding
    rows : int
        Predictions checked.
    """

    verdict: Literal["sound", "suspicious", "insufficient_data"]
    reasons: tuple[str, ...]
    findings: tuple[PredictionFinding, ...]
    rows: int

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the predictions."""
        return self.verdict != "suspicious"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "verdict": self.verdict,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "findings": [one.to_dict() for one in self.findings],
            "rows": self.rows,
        }
