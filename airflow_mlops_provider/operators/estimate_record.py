"""The record of an estimate: an MLflow run with report and metrics, and the small JSON for XCom.

It decides nothing: the same estimate gives the same record. It shows shares and values, never a row or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops_provider.core.estimate_policy import EstimateReport
    from airflow_mlops_provider.operators.estimate_check import EstimateCheck

REPORT = "estimate/report.html"
RESULT = "estimate/report.json"


def record(found: EstimateCheck, *, tags: Mapping[str, str]) -> dict[str, Any]:
    """Record an estimate and return the XCom.

    Parameters
    ----------
    found : EstimateCheck
        What came out.
    tags : mapping of str to str
        Which task asked, for the MLflow run.

    Returns
    -------
    dict
        As :class:`~airflow_mlops_provider.operators.estimate_performance.EstimatePerformanceOperator` describes,
        without ``passed``.
    """
    from airflow_mlops_provider.registry.monitoring import log_check, rows_tags, window_tags
    from airflow_mlops_provider.registry.runs import logged_run
    from airflow_mlops_provider.reports.estimate import estimate_report

    request, version, window, report = found.request, found.version, found.window, found.report
    reference, days = str(version.run_id), request.policy.window_days
    # Without a length, the rows are those that were given, as of a check of data.
    rows = {} if days is None else rows_tags(window, delay_days=0, window_days=days)
    with (
        MlflowHook(request.mlflow_conn_id).open() as registry,
        logged_run(
            registry,
            experiment_name=request.experiment_name,
            run_name=f"estimate of {version.model_name} {version.version} to {window.tag}",
            tags={
                **tags,
                **window_tags(check="estimate", window=window, reference=reference, verdict=report.verdict),
                **rows,
            },
        ) as run,
    ):
        run.log_dataset(found.scored, context="predictions")
        run.log_dict(
            {
                **report.to_dict(),
                "window": found.counts.to_dict(),
                "other_versions": dict(found.other_versions),
                "policy": request.policy.to_dict(),
            },
            RESULT,
        )
        html = estimate_report(report, reference=found.reference, current=found.current, about=_about(found))
        run.log_text(html, REPORT)
        trend = f"{version.model_name} version {version.version}"
        log_check(run, metrics_of(report), reference=reference, name=trend, window=window)
        return {
            **_summary(report),
            "model_name": version.model_name,
            "version": version.version,
            "window_end": window.tag,
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": run.url(REPORT),
            "model_version_url": registry.version_url(model_name=version.model_name, version=version.version),
        }


def metrics_of(report: EstimateReport) -> dict[str, float]:
    """Return what an estimate is in the trend of a model."""
    metrics: dict[str, float] = {"estimated_rows": report.rows}
    if report.outside_share is not None:
        metrics["estimate.outside_share"] = report.outside_share
    for one in report.estimates.values():
        name = f"estimate.{one.name}"
        metrics |= {
            name: one.value,
            f"{name}.lower": one.lower,
            f"{name}.upper": one.upper,
            f"{name}.reference": one.reference,
            f"{name}.difference": one.difference,
            f"{name}.difference_lower": one.difference_lower,
            f"{name}.difference_upper": one.difference_upper,
        }
    return metrics


def _summary(report: EstimateReport) -> dict[str, Any]:
    judged = report.estimates.get(report.metric)
    keys = ("value", "lower", "upper", "reference", "difference", "difference_lower", "difference_upper")
    return {
        "verdict": report.verdict,
        "reasons": list(report.reasons),
        "metric": report.metric,
        **{key: None if judged is None else getattr(judged, key) for key in keys},
        "estimated_rows": report.rows,
        "estimates": {name: {key: getattr(one, key) for key in keys[:4]} for name, one in report.estimates.items()},
    }


def _about(found: EstimateCheck) -> dict[str, str]:
    policy = {name: value for name, value in found.request.policy.to_dict().items() if value is not None}
    others = ", ".join(f"{rows} of version {name or 'unknown'}" for name, rows in found.other_versions.items())
    return {
        "title": found.version.title,
        "window_end": found.window.tag,
        "Predictions": f"{found.scored.uri} ({found.scored.rows} rows)",
        "Left out": others or "no rows of other versions",
        "Policy": ", ".join(f"{name} = {value}" for name, value in policy.items()),
    }
