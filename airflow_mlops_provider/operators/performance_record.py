"""The record of a performance check: an MLflow run with report and metrics, and the small JSON for XCom.

It decides nothing: the same check gives the same record. It shows shares and values of segments, never a row or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops_provider.core.performance_report import PerformanceReport
    from airflow_mlops_provider.operators.performance_check import PerformanceCheck

REPORT = "performance/report.html"
RESULT = "performance/report.json"
CHECK = "performance"
# Of XCom, which goes through Airflow's database; all is in the report.
MAX_NAMED = 50


def record(found: PerformanceCheck, *, tags: Mapping[str, str]) -> dict[str, Any]:
    """Record a check and return the XCom.

    Parameters
    ----------
    found : PerformanceCheck
        What came out.
    tags : mapping of str to str
        Which task asked, for the MLflow run.

    Returns
    -------
    dict
        As :class:`~airflow_mlops_provider.operators.check_performance.CheckPerformanceOperator` describes, without
        ``passed``.
    """
    from airflow_mlops_provider.registry.monitoring import log_check, rows_tags, window_tags
    from airflow_mlops_provider.registry.runs import logged_run
    from airflow_mlops_provider.reports.performance import performance_report

    request, version, window, report = found.request, found.version, found.window, found.report
    reference = str(version.run_id)
    with (
        MlflowHook(request.mlflow_conn_id).open() as registry,
        logged_run(
            registry,
            experiment_name=request.experiment_name,
            run_name=f"performance of {version.model_name} {version.version} to {window.tag}",
            tags={
                **tags,
                **window_tags(check="performance", window=window, reference=reference, verdict=report.verdict),
                **rows_tags(window, delay_days=0, window_days=request.policy.window_days),
            },
        ) as run,
    ):
        run.log_dataset(found.scored, context="predictions")
        if found.labels is not None:
            run.log_dataset(found.labels, context="labels")
        run.log_dict({**report.to_dict(), "policy": request.policy.to_dict()}, RESULT)
        run.log_text(performance_report(report, about=_about(found)), REPORT)
        trend = f"{version.model_name} version {version.version}"
        log_check(run, metrics_of(report), reference=reference, name=trend, window=window)
        return {
            **_summary(report),
            "model_name": version.model_name,
            "version": version.version,
            "window_end": window.tag,
            "as_of": found.as_of.tag,
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": run.url(REPORT),
            "model_version_url": registry.version_url(model_name=version.model_name, version=version.version),
        }


def metrics_of(report: PerformanceReport) -> dict[str, float]:
    """Return what a check is in the trend of a model."""
    from airflow_mlops_provider.registry.monitoring import metric_name

    metrics: dict[str, float] = {
        "labelled_rows": report.coverage.labels.joined,
        "labelled_share": report.coverage.share,
    }
    if report.changes:
        metrics[f"{CHECK}.suspected"] = float(report.changes[0].suspected)
    for one in report.changes:
        name = f"{CHECK}.{one.value.name}"
        metrics |= {
            name: one.value.value,
            f"{name}.lower": one.value.lower,
            f"{name}.upper": one.value.upper,
            f"{name}.reference": one.reference.value,
            f"{name}.difference": one.difference,
            f"{name}.difference_lower": one.lower,
            f"{name}.difference_upper": one.upper,
        }
    for part in report.segments:
        if part.change is not None:
            metrics[metric_name(f"segment.{report.metric}", part.label)] = part.change.value.value
    return metrics


def _summary(report: PerformanceReport) -> dict[str, Any]:
    change = report.changes[0] if report.changes else None
    worst = [
        {"segment": dict(one.segment), "rows": one.rows, "value": one.change.value.value, **_difference(one.change)}
        for one in report.worst_segments[:MAX_NAMED]
        if one.change is not None
    ]
    return {
        "verdict": report.verdict,
        "reasons": list(report.reasons),
        "metric": report.metric,
        "value": None if change is None else change.value.value,
        "reference": None if change is None else change.reference.value,
        **_difference(change),
        "labelled_rows": report.coverage.labels.joined,
        "labelled_share": report.coverage.share,
        "findings": report.coverage.findings(),
        "worst_segments": worst,
    }


def _difference(change: Any) -> dict[str, Any]:
    return {
        "difference": None if change is None else change.difference,
        "difference_lower": None if change is None else change.lower,
        "difference_upper": None if change is None else change.upper,
    }


def _about(found: PerformanceCheck) -> dict[str, Any]:
    request = found.request
    policy = {name: value for name, value in request.policy.to_dict().items() if value is not None}
    return {
        "title": found.version.title,
        "window_end": found.window.tag,
        "As of": found.as_of.tag,
        "Predictions": f"{found.scored.uri} ({found.scored.rows} rows)",
        "Labels": "none" if found.labels is None else f"{found.labels.uri} ({found.labels.rows} rows)",
        "Joined by": ", ".join(request.key_columns),
        "Policy": ", ".join(f"{name} = {value}" for name, value in policy.items()),
    }
