"""Decides whether a model has become worse than on its held-out rows; a window without enough labels says nothing.

Held-out rows and the window's rows are two samples, so their difference has an interval that both widen. The verdict
is about one metric, chosen before; all others, and the segments, are findings beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metric_change import Standard, metric_change, value_of
from airflow_mlops_provider.core.metrics import supported
from airflow_mlops_provider.core.performance import MetricValue
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.performance_report import Coverage, MetricChange, PerformanceReport
from airflow_mlops_provider.core.performance_segments import Segment, SegmentKey, judge_segments

if TYPE_CHECKING:
    from airflow_mlops_provider.core.predictions import Predictions


def decide_performance(
    predictions: Predictions | None,
    *,
    coverage: Coverage,
    standard: Standard,
    policy: PerformancePolicy,
    segments: Sequence[Segment] = (),
    segments_left_out: int = 0,
    segment_standards: Mapping[SegmentKey, MetricValue] | None = None,
) -> PerformanceReport:
    """Judge a window.

    Parameters
    ----------
    predictions : Predictions or None
        Of the window's labelled rows; None without any.
    coverage : Coverage
        Of the window.
    standard : Standard
        What the version was worth before.
    policy : PerformancePolicy
        What matters.
    segments : sequence of Segment
        Parts to look at.
    segments_left_out : int, default 0
        How many more parts there are.
    segment_standards : mapping, optional
        Segment to its own value of the deciding metric on held-out rows.

    Returns
    -------
    PerformanceReport
        ``drop`` when the deciding metric is worse beyond chance *and* by at least what matters.

    Raises
    ------
    InputError
        The metric is unknown, the version carries no value of it, or the rows lack what it is computed from.
    """
    metric = policy.metric or standard.metric
    reference = standard.of(metric)
    policy.floor(metric, reference.value)
    if predictions is not None and metric not in supported(predictions):
        raise InputError(
            f"{metric} cannot be computed from the scored rows, which hold classes without probabilities. "
            f"Hint: let the policy's metric be one of {', '.join(supported(predictions))}."
        )
    counts = {} if predictions is None else predictions.class_counts()
    facts: dict[str, Any] = {"metric": metric, "coverage": coverage, "class_counts": counts}
    lacking = _lacking(coverage, counts, policy)
    if lacking or predictions is None:
        return PerformanceReport(verdict="insufficient_data", reasons=tuple(lacking), **facts)
    values, undefined = _values(predictions, metric, standard, policy)
    if metric in undefined:
        return PerformanceReport(
            verdict="insufficient_data", reasons=(undefined[metric],), undefined=undefined, **facts
        )
    changes = [_change(one, standard.of(one.name), policy, decides=one.name == metric) for one in values]
    return PerformanceReport(
        verdict="drop" if changes[0].is_drop else "no_drop",
        reasons=(changes[0].describe(),),
        changes=tuple(changes),
        undefined=undefined,
        segments=judge_segments(predictions, segments, reference=reference, own=segment_standards or {}, policy=policy),
        segments_left_out=segments_left_out,
        **facts,
    )


def _lacking(coverage: Coverage, counts: Mapping[str, int], policy: PerformancePolicy) -> list[str]:
    """Say what a verdict needs and the window lacks."""
    window, labelled = coverage.window, coverage.labels.joined
    if not window.rows:
        others = ", ".join(f"{name} ({rows})" for name, rows in sorted(coverage.other_versions.items()))
        return [f"version {coverage.version} scored none of these rows; rows by version: {others}"]
    if not window.kept:
        return [
            f"none of the {window.rows} rows of version {coverage.version} belongs to the window: {window.immature} "
            f"were scored less than {policy.label_delay_days:g} days before its end, {window.later} after it, "
            f"{window.earlier} before it began"
        ]
    found = [coverage.note] if coverage.note else []
    if coverage.share < policy.min_labelled_share:
        found.append(
            f"labels of {labelled} of {window.kept} rows are known ({coverage.share:.1%}), "
            f"{policy.min_labelled_share:.1%} required"
        )
    if labelled < policy.min_labelled_rows:
        found.append(f"{labelled} rows are labelled, {policy.min_labelled_rows} required")
    rare = {name: rows for name, rows in counts.items() if rows < policy.min_labelled_rows_per_class}
    if rare:
        rows = ", ".join(f"{name!r}: {count}" for name, count in counts.items())
        found.append(f"labelled rows by class are {rows}; {policy.min_labelled_rows_per_class} of each required")
    return found


def _values(
    predictions: Predictions, metric: str, standard: Standard, policy: PerformancePolicy
) -> tuple[list[MetricValue], dict[str, str]]:
    """Evaluate every metric that the version carries, the deciding one first; and say why some have no value."""
    values, undefined = [], {}
    for name in dict.fromkeys([metric, *supported(predictions)]):
        if name in standard.values:
            try:
                values.append(value_of(predictions, name, policy))
            except InputError as error:
                undefined[name] = str(error)
    return values, undefined


def _change(value: MetricValue, reference: MetricValue, policy: PerformancePolicy, *, decides: bool) -> MetricChange:
    # What the user says matters is in units of the deciding metric.
    floor = (policy if decides else PerformancePolicy()).floor(value.name, reference.value)
    return metric_change(value, reference, floor=floor, confidence=policy.confidence)
