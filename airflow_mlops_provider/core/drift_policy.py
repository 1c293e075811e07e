"""What counts as drift: the settings of a decision, checked when a DAG file constructs them; standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from airflow_mlops_provider.core.drift_method import (
    ColumnKind,
    MethodChoice,
    MethodSpec,
    check_count,
    check_number,
    resolve_method,
)
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.policy import Policy

DriftRule = Literal["calibrated", "threshold", "evidently"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPolicy(Policy):
    """When a column drifts, and when the data set does.

    Parameters
    ----------
    numeric, categorical : str or mapping, default "wasserstein" and "jensen_shannon"
        Drift method for columns of that kind: a key, or a mapping such as ``{"method": "psi", "threshold": 0.25,
        "n_bins": 20}``. The threshold is the smallest effect that matters; each method has the default that users know.
    per_column : mapping of str to str or mapping, default {}
        The same for single columns. Dates are judged only when named here: they move with the calendar.
    ignore_columns : sequence of str, default ()
        Columns to leave out altogether, such as identifiers.
    rule : {"calibrated", "threshold", "evidently"}, default "calibrated"
        ``calibrated``: a column drifts when it is significant after correction over all columns *and* its effect
        reaches the threshold. ``threshold``: the effect alone decides. ``evidently``: see :meth:`evidently_defaults`.
    fdr : float, default 0.05
        Expected share of false alarms among alarms (Benjamini-Hochberg), 0 < fdr < 1.
    min_samples : int, default 100
        Values needed on both sides; with fewer the verdict is ``insufficient_data``.
    missing_share_change : float or None, default 0.05
        Smallest absolute change of the share of missing rows (null, NaN or infinite) that matters, from 0 to 1; None
        does not judge it.
    unseen_share : float or None, default 0.01
        Smallest share of rows with categories that the reference does not have that matters, from 0 to 1; None does not
        judge it.
    drift_share : float, default 0.5
        The data set drifts when at least this share of its judged columns does, 0 < share <= 1.
    importance_share : float, default 0.2
        With feature importances: it drifts when the drifting columns hold at least this share of all importance, or as
        much as the most important column, whichever is less; 0 < share <= 1.
    schema_change_is_drift : bool, default True
        Whether a missing or retyped column alone makes the data set drift.
    seed : int, default 0
        Of random draws in tests on small samples, 0 <= seed < 2**32.

    Examples
    --------
    >>> policy = DriftPolicy(per_column={"tenure": {"method": "psi", "threshold": 0.25}})
    >>> policy.choice("tenure", "numeric").threshold, policy.choice("age", "numeric").method.key
    (0.25, 'wasserstein')
    """

    numeric: MethodSpec = "wasserstein"
    categorical: MethodSpec = "jensen_shannon"
    per_column: Mapping[str, MethodSpec] = field(default_factory=dict)
    ignore_columns: Sequence[str] = ()
    rule: DriftRule = "calibrated"
    fdr: float = 0.05
    min_samples: int = 100
    missing_share_change: float | None = 0.05
    unseen_share: float | None = 0.01
    drift_share: float = 0.5
    importance_share: float = 0.2
    schema_change_is_drift: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        owner = "DriftPolicy"
        if self.rule not in get_args(DriftRule):
            raise InputError(f"rule of {owner} must be one of {', '.join(get_args(DriftRule))}; got {self.rule!r}.")
        for name in ("fdr", "drift_share", "importance_share"):
            check_number(name, owner, getattr(self, name), low=0.0, high=1.0)
            if getattr(self, name) == 0 or (name == "fdr" and self.fdr == 1):
                raise InputError(f"{name} of {owner} must be above 0{' and below 1' * (name == 'fdr')}; got 0 or 1.")
        for name in ("missing_share_change", "unseen_share"):
            if getattr(self, name) is not None:
                check_number(name, owner, getattr(self, name), low=0.0, high=1.0)
        check_count("min_samples", owner, self.min_samples, low=2)
        check_count("seed", owner, self.seed, low=0, high=2**32 - 1)
        if not isinstance(self.schema_change_is_drift, bool):
            raise InputError(
                f"schema_change_is_drift of {owner} must be True or False; got {self.schema_change_is_drift!r}."
            )
        self._check_columns()
        resolve_method(self.numeric, kind="numeric")
        resolve_method(self.categorical, kind="categorical")

    def _check_columns(self) -> None:
        if isinstance(self.ignore_columns, str):
            raise InputError(
                f"ignore_columns of DriftPolicy must be a list of names; got the string {self.ignore_columns!r}."
            )
        object.__setattr__(self, "ignore_columns", tuple(self.ignore_columns))
        if not isinstance(self.per_column, Mapping):
            raise InputError(f"per_column of DriftPolicy must map columns to methods; got {self.per_column!r}.")
        for column, spec in self.per_column.items():
            try:
                resolve_method(spec)
            except InputError as error:
                raise InputError(f"per_column of DriftPolicy, column {column!r}: {error}") from error

    def choice(self, column: str, kind: ColumnKind) -> MethodChoice:
        """Return the method and threshold for a column.

        Parameters
        ----------
        column : str
            Its name.
        kind : {"numeric", "categorical"}
            What it holds.

        Returns
        -------
        MethodChoice

        Raises
        ------
        InputError
            `per_column` names a method that cannot compare columns of this kind.
        """
        if column in self.per_column:
            try:
                return resolve_method(self.per_column[column], kind=kind)
            except InputError as error:
                raise InputError(f"Column {column!r}: {error}") from error
        return resolve_method(self.numeric if kind == "numeric" else self.categorical, kind=kind)

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain JSON values, from which :meth:`from_dict` makes an equal one."""
        plain = asdict(self)
        plain["ignore_columns"] = list(self.ignore_columns)
        return plain

    @classmethod
    def evidently_defaults(cls) -> DriftPolicy:
        """Reproduce the verdicts of Evidently 0.7's ``DataDriftPreset()``.

        References of up to 1,000 rows: Kolmogorov-Smirnov p < 0.05 for numbers with more than five values, chi-square
        p < 0.05 for others, a z-test for two values. Above: normed Wasserstein distance >= 0.1, or Jensen-Shannon
        distance >= 0.1 for categories and numbers with up to five values. No correction over columns; the data set
        drifts when half of its columns do. Missing values are left out, unseen categories count as categories.

        Numbers are compared from the cells of their profile, so the verdict can differ where a value is within the
        certified interval of the threshold. Evidently counts the distinct values of both samples together; a profile
        knows them where it counts by value, which it does for up to 256. Dates and text beyond its categories Evidently
        does not judge so.
        """
        return cls(
            rule="evidently",
            min_samples=2,
            missing_share_change=None,
            unseen_share=None,
            schema_change_is_drift=False,
        )

    @classmethod
    def nannyml_defaults(cls, *, thresholds: Mapping[str, float] | None = None, threshold: float = 0.1) -> DriftPolicy:
        """Reproduce the alerts of NannyML's ``UnivariateDriftCalculator`` with its default method, Jensen-Shannon.

        NannyML sets each column's upper threshold at the mean plus three standard deviations of the distance over
        chunks of the reference. Chunks are not in a profile, so its thresholds are passed in: read them from the
        calculator's results. A data set drifts here when any column does, as NannyML alerts by column.

        Categorical columns agree exactly. Of numeric columns, those with many values are compared here in ten bins at
        the reference's quantiles, in NannyML in bins of equal width (Doane's rule), so values and verdicts near the
        threshold differ.

        Parameters
        ----------
        thresholds : mapping of str to float, optional
            Upper threshold by column.
        threshold : float, default 0.1
            For columns not in `thresholds`, as NannyML's ``ConstantThreshold(upper=0.1)``.

        Returns
        -------
        DriftPolicy
        """

        def method(value: float) -> MethodSpec:
            return {"method": "jensen_shannon", "threshold": value}

        return cls(
            rule="threshold",
            numeric=method(threshold),
            categorical=method(threshold),
            per_column={name: method(value) for name, value in (thresholds or {}).items()},
            min_samples=2,
            missing_share_change=None,
            unseen_share=None,
            drift_share=1e-9,
            schema_change_is_drift=False,
        )
