"""What counts as skew between training and serving, and what a check of it says; standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_mlops_provider.core.drift_method import check_count, check_number
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.policy import Policy

Severity = Literal["critical", "warning"]
SkewCheck = Literal[
    "missing",
    "extra",
    "type",
    "range",
    "unseen",
    "nulls",
    "infinite",
    "outliers",
    "constant",
    "distribution",
    "unjudged",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewPolicy(Policy):
    """How far serving rows may be from those a version was trained on.

    A share counts only when it is also significant: tests are exact at any sample size, and `alpha` holds for all of
    them together (Bonferroni).

    Parameters
    ----------
    out_of_range_share : float, default 0.01
        Rows of a number outside of what training saw, as a share of its values.
    unseen_share : float, default 0.01
        Rows with a category that training did not see.
    missing_share_change : float, default 0.1
        Change of the share of missing rows, in either direction.
    outlier_share_change : float, default 0.05
        Growth of the share of rows whose robust z-score is over `outlier_z`.
    outlier_z : float, default 5.0
        In robust standard deviations from the median of training.
    distribution_distance : float, default 0.25
        Jensen-Shannon distance (base 2) of a feature's distribution at which it is another feature.
    distribution_warning : float, default 0.15
        At which it is worth a look.
    allowed_feature_share : float, default 0.0
        Share of the features that may have critical findings before the verdict is skew. A missing feature, one of
        another type and an infinite number are never allowed.
    min_samples : int, default 100
        Values needed on both sides to judge distributions, and to say that shares did not change; that they did, as
        categories that are all unseen, fewer values can show. A feature with fewer in a window with more is named in a
        warning, ``unjudged``.
    alpha : float, default 0.001
        Chance of any critical finding on a window without skew, at most.
    ignore_features : sequence of str, default ()
        Features not to judge by their values, such as one that moves with the calendar.

    Examples
    --------
    >>> SkewPolicy.from_dict({"unseen_share": 0.05}).unseen_share
    0.05
    """

    out_of_range_share: float = 0.01
    unseen_share: float = 0.01
    missing_share_change: float = 0.1
    outlier_share_change: float = 0.05
    outlier_z: float = 5.0
    distribution_distance: float = 0.25
    distribution_warning: float = 0.15
    allowed_feature_share: float = 0.0
    min_samples: int = 100
    alpha: float = 0.001
    ignore_features: Sequence[str] = ()

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for name in (
            *("out_of_range_share", "unseen_share", "missing_share_change", "outlier_share_change"),
            *("distribution_distance", "distribution_warning", "allowed_feature_share", "alpha"),
        ):
            check_number(name, owner, getattr(self, name), low=0.0, high=1.0)
        check_number("outlier_z", owner, self.outlier_z, low=1.0, high=1e6)
        check_count("min_samples", owner, self.min_samples, low=2)
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha of {owner} must lie between 0 and 1; got {self.alpha!r}.")
        if self.distribution_warning > self.distribution_distance:
            raise InputError(
                f"distribution_warning of {owner} must not be above distribution_distance "
                f"{self.distribution_distance:g}; got {self.distribution_warning:g}."
            )
        if isinstance(self.ignore_features, str):
            raise InputError(f"ignore_features of {owner} must be a list of names; got {self.ignore_features!r}.")
        object.__setattr__(self, "ignore_features", tuple(self.ignore_features))

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain JSON values."""
        return {**asdict(self), "ignore_features": list(self.ignore_features)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewFinding:
    """What one check found of one feature.

    Parameters
    ----------
    feature : str
        Its name.
    check : str
        Which check.
    severity : {"critical", "warning"}
        Whether it counts for the verdict.
    message : str
        One sentence with the numbers; holds no values of the data but new categories.
    observed, allowed : float or None
        What was measured and what the policy allows; None where there is no number.
    """

    feature: str
    check: SkewCheck
    severity: Severity
    message: str
    observed: float | None = None
    allowed: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewReport:
    """What a check of serving rows against training says.

    Parameters
    ----------
    verdict : {"no_skew", "skew", "insufficient_data"}
        ``insufficient_data``: nothing speaks against the rows, but there are too few to judge their shares.
    reasons : tuple of str
        Why there is skew, or why it cannot be told; () otherwise.
    findings : tuple of SkewFinding
        Critical ones first.
    rows, features : int
        Serving rows and features judged.
    critical_share : float
        Share of the features with critical findings.
    same_order : bool
        Whether the features come in the order of training, which no verdict depends on: they are taken by name.
    """

    verdict: Literal["no_skew", "skew", "insufficient_data"]
    reasons: tuple[str, ...]
    findings: tuple[SkewFinding, ...]
    rows: int
    features: int
    critical_share: float
    same_order: bool

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against scoring these rows."""
        return self.verdict != "skew"

    def found(self, check: str) -> tuple[str, ...]:
        """Return the features of which a check found something."""
        return tuple(one.feature for one in self.findings if one.check == check)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "verdict": self.verdict,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "findings": [one.to_dict() for one in self.findings],
            "rows": self.rows,
            "features": self.features,
            "critical_share": self.critical_share,
            "same_order": self.same_order,
        }
