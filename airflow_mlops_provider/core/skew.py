"""Are these serving rows of the kind a version was trained on? Decided from two profiles, feature by feature.

It must never pass over what it could not judge: a feature that is missing, of another type or null in all rows is a
finding, not a comparison that happens to be false.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from airflow_mlops_provider.core.decide_drift import decide_drift
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.skew_cells import beyond_range, constant_since, outlier_counts
from airflow_mlops_provider.core.skew_policy import Severity, SkewCheck, SkewFinding, SkewPolicy, SkewReport
from airflow_mlops_provider.core.window_tests import all_alike_p, beyond_extreme_p, more_frequent_p

if TYPE_CHECKING:
    from airflow_mlops_provider.core.drift_report import ColumnDrift
    from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile

# Checks that make a test of each feature: range, outliers and constant; the others are corrected by the drift engine.
_TESTS_PER_FEATURE = 3
_NEVER_ALLOWED: frozenset[SkewCheck] = frozenset({"missing", "type", "infinite"})


def check_skew(
    training: DatasetProfile,
    serving: DatasetProfile,
    *,
    features: Sequence[str],
    policy: SkewPolicy | None = None,
    order: Sequence[str] | None = None,
    known_columns: Sequence[str] = (),
) -> SkewReport:
    """Check serving rows against the rows a version was trained on.

    Types and presence by the schema; range by the exact law of exceedances; unseen categories, missing rows and
    distribution by the drift engine, corrected over all features, the first two at any number of values; outliers by
    robust z-scores ``|x - median| / s`` with s = IQR / 1.349 of training [1]_ (its standard deviation where the IQR is
    0), against the share that training itself has; a feature with one value by how likely that is. A feature whose
    distribution could not be judged is a warning.

    Parameters
    ----------
    training : DatasetProfile
        Of the training rows of that very version.
    serving : DatasetProfile
        Of the serving rows, counted in the cells of `training`.
    features : sequence of str
        In the order of training.
    policy : SkewPolicy, optional
        By default ``SkewPolicy()``.
    order : sequence of str, optional
        Names of the serving columns in their order; default unknown.
    known_columns : sequence of str, default ()
        Columns that are no features and expected, such as keys and the target.

    Returns
    -------
    SkewReport

    Raises
    ------
    InputError
        There are no serving rows, the training profile lacks a feature, or cells differ.

    References
    ----------
    .. [1] P. J. Rousseeuw, C. Croux, Alternatives to the median absolute deviation, JASA 88 (1993) 1273-1283,
       section 1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from airflow_mlops_provider.core.profiler import profile_table
    >>> training = profile_table(pa.table({"charge": [20.0 + i % 50 for i in range(1000)]}))
    >>> serving = profile_table(pa.table({"charge": [20000.0 + i for i in range(200)]}), grids=training.grids)
    >>> report = check_skew(training, serving, features=["charge"])
    >>> report.verdict, report.found("range")
    ('skew', ('charge',))
    """
    policy = policy or SkewPolicy()
    if not serving.rows:
        raise InputError("There are no serving rows to check. Hint: check the step that writes them.")
    lacking = [name for name in features if name not in training.names]
    if lacking:
        raise InputError(f"The training profile lacks the features {lacking}. Hint: train the model again.")
    given = {one.name: one for one in serving.columns if one.types}
    findings = [
        *_missing(features, given),
        *_extra(given, known={*features, *known_columns}),
        *_types(training, given, features),
    ]
    out = {one.feature for one in findings} | set(policy.ignore_features)
    judged = [name for name in features if name not in out]
    p_limit = policy.alpha / max(1, _TESTS_PER_FEATURE * len(features))
    for name in judged:
        findings += _values(training.column(name), given[name], policy, p_limit)
    findings += _shapes(training, serving, judged, policy)
    ordered = tuple(sorted(findings, key=lambda one: (one.severity != "critical", one.feature, one.check)))
    return _report(ordered, features=features, rows=serving.rows, policy=policy, order=order)


def check_schema(training: DatasetProfile, serving: DatasetProfile, *, features: Sequence[str]) -> tuple[str, ...]:
    """Return what makes scoring pointless before a row is read: features that are missing or of another type."""
    given = {one.name: one for one in serving.columns if one.types}
    found = [*_missing(features, given), *_types(training, given, features)]
    return tuple(f"{one.feature}: {one.message}" for one in found)


def _missing(features: Sequence[str], given: Mapping[str, ColumnProfile]) -> Iterator[SkewFinding]:
    for name in features:
        if name not in given:
            yield _finding(name, "missing", "critical", "the model needs it and the rows lack it")


def _extra(given: Mapping[str, ColumnProfile], *, known: set[str]) -> Iterator[SkewFinding]:
    for name in given:
        if name not in known:
            yield _finding(name, "extra", "warning", "the model does not know this column and ignores it")


def _types(
    training: DatasetProfile, given: Mapping[str, ColumnProfile], features: Sequence[str]
) -> Iterator[SkewFinding]:
    for name in features:
        if name not in given:
            continue
        before, now = training.column(name), given[name]
        # To the model false and true are 0 and 1. Whether numbers are that and no others, only counting them tells.
        if not now.rows and {before.kind, now.kind} == {"boolean", "numeric"}:
            continue
        if before.kind != now.kind and "null" not in (before.kind, now.kind):
            message = f"it is {now.kind} ({', '.join(now.types)}), in training it was {before.kind}"
            yield _finding(name, "type", "critical", message)


def _values(
    training: ColumnProfile, serving: ColumnProfile, policy: SkewPolicy, p_limit: float
) -> Iterator[SkewFinding]:
    infinite = serving.positive_infinities + serving.negative_infinities
    if infinite:
        yield _finding(training.name, "infinite", "critical", f"{infinite} infinite values", observed=infinite)
    if not serving.n_counted or not training.n_counted:
        return
    yield from _constant(training, serving, policy, p_limit)
    if training.minimum is not None and serving.minimum is not None:
        yield from _range(training, serving, policy, p_limit)
        yield from _outliers(training, serving, policy, p_limit)


def _constant(
    training: ColumnProfile, serving: ColumnProfile, policy: SkewPolicy, p_limit: float
) -> Iterator[SkewFinding]:
    alike = constant_since(training, serving)
    if alike is None:
        return
    p_value = all_alike_p(n_value=alike, n_reference=training.n_counted, n_current=serving.n_counted)
    if p_value <= p_limit:
        message = f"all {serving.n_counted} values are the same, in training they varied (p {p_value:.2g})"
        yield _finding(training.name, "constant", "critical", message)


def _range(
    training: ColumnProfile, serving: ColumnProfile, policy: SkewPolicy, p_limit: float
) -> Iterator[SkewFinding]:
    below, above = beyond_range(training, serving)
    n, m = training.n_counted, serving.n_counted
    p_value = min(1.0, 2 * min(beyond_extreme_p(beyond=count, n_reference=n, n_current=m) for count in (below, above)))
    share = (below + above) / m
    if share > policy.out_of_range_share and p_value <= p_limit:
        message = f"{share:.2%} of the values lie outside of what training saw ({below} below, {above} above)"
        yield _finding(training.name, "range", "critical", message, observed=share, allowed=policy.out_of_range_share)


def _outliers(
    training: ColumnProfile, serving: ColumnProfile, policy: SkewPolicy, p_limit: float
) -> Iterator[SkewFinding]:
    n, m = training.n_counted, serving.n_counted
    if n < policy.min_samples:  # which the spread of training is estimated from; the test itself is exact at any size
        return
    before, now = outlier_counts(training, serving, z=policy.outlier_z)
    growth = now / m - before / n
    if growth > policy.outlier_share_change and more_frequent_p(reference=(before, n), current=(now, m)) <= p_limit:
        limit = f"robust z over {policy.outlier_z:g}"
        message = f"{now / m:.2%} of the values are outliers ({limit}), in training {before / n:.2%}"
        yield _finding(
            training.name, "outliers", "critical", message, observed=growth, allowed=policy.outlier_share_change
        )


def _shapes(
    training: DatasetProfile, serving: DatasetProfile, judged: Sequence[str], policy: SkewPolicy
) -> Iterator[SkewFinding]:
    """Let the drift engine judge distributions, missing rows and unseen categories, as one family of tests."""
    if not judged:
        return
    method = {"method": "jensen_shannon", "threshold": policy.distribution_warning}
    dates = {one.name: method for one in training.columns if one.kind in ("datetime", "datetimetz")}
    drift_policy = DriftPolicy(
        numeric=method,
        categorical=method,
        per_column=dates,
        fdr=policy.alpha,
        min_samples=policy.min_samples,
        missing_share_change=policy.missing_share_change,
        unseen_share=policy.unseen_share,
    )
    kept = set(judged)
    before = replace(training, columns=tuple(one for one in training.columns if one.name in kept))
    now = replace(serving, columns=tuple(one for one in serving.columns if one.name in kept))
    for one in decide_drift(before, now, drift_policy, any_size=True).columns:
        found = list(_shape(one, policy))
        yield from found
        if not found and one.shape_verdict == "insufficient_data" and serving.rows >= policy.min_samples:
            yield _finding(one.column, "unjudged", "warning", f"its distribution was not judged: {one.reason}")


def _shape(one: ColumnDrift, policy: SkewPolicy) -> Iterator[SkewFinding]:
    if one.missing.verdict == "drift":
        message = (
            f"{one.missing.current_share:.2%} of the rows are missing, in training {one.missing.reference_share:.2%}"
        )
        yield _finding(
            one.column, "nulls", "critical", message, observed=one.missing.change, allowed=policy.missing_share_change
        )
    if one.unseen is not None and one.unseen.verdict == "drift":
        message = f"{one.unseen.current_share:.2%} of the rows have categories that training did not see"
        message += f", such as {', '.join(map(repr, one.unseen.examples[:3]))}" if one.unseen.examples else ""
        yield _finding(
            one.column,
            "unseen",
            "critical",
            message,
            observed=one.unseen.current_share,
            allowed=policy.unseen_share,
        )
    if one.shape_verdict == "drift" and one.effect is not None:
        severity: Severity = "critical" if one.effect.value >= policy.distribution_distance else "warning"
        message = f"its distribution is another one: Jensen-Shannon distance {one.effect.value:.3g}"
        yield _finding(
            one.column,
            "distribution",
            severity,
            message,
            observed=one.effect.value,
            allowed=policy.distribution_distance,
        )


def _report(
    findings: tuple[SkewFinding, ...],
    *,
    features: Sequence[str],
    rows: int,
    policy: SkewPolicy,
    order: Sequence[str] | None,
) -> SkewReport:
    critical = {one.feature for one in findings if one.severity == "critical"}
    share = len(critical) / len(features) if features else 0.0
    fatal = [one for one in findings if one.severity == "critical" and one.check in _NEVER_ALLOWED]
    reasons = tuple(f"{one.feature}: {one.message}" for one in findings if one.severity == "critical")
    present = [name for name in order or features if name in set(features)]
    verdict: Literal["no_skew", "skew", "insufficient_data"] = "no_skew"
    if fatal or share > policy.allowed_feature_share:
        verdict = "skew"
    elif rows < policy.min_samples:
        verdict = "insufficient_data"
        reasons = (f"{rows} rows, {policy.min_samples} needed to judge shares and distributions",)
    return SkewReport(
        verdict=verdict,
        reasons=() if verdict == "no_skew" else reasons,
        findings=findings,
        rows=rows,
        features=len(features),
        critical_share=share,
        same_order=present == [name for name in features if name in set(present)],
    )


def _finding(
    feature: str,
    check: SkewCheck,
    severity: Severity,
    message: str,
    *,
    observed: float | None = None,
    allowed: float | None = None,
) -> SkewFinding:
    return SkewFinding(
        feature=feature, check=check, severity=severity, message=message, observed=observed, allowed=allowed
    )
