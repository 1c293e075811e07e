"""The record of a drift comparison: an MLflow run with profile, report and metrics, and the small JSON for XCom.

It decides nothing: the same comparison gives the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops_provider.core.cells import CellCounts
    from airflow_mlops_provider.core.drift_report import DriftReport
    from airflow_mlops_provider.operators.drift_check import Comparison

REPORT = "drift/report.html"
RESULT = "drift/report.json"
# Of XCom, which goes through Airflow's database: columns named, and length of a reason. All is in the report.
MAX_NAMED = 50
MAX_REASON_CHARACTERS = 1_000


def record(found: Comparison, *, tags: Mapping[str, str]) -> dict[str, Any]:
    """Record a comparison and return the XCom.

    Parameters
    ----------
    found : Comparison
        What came out.
    tags : mapping of str to str
        Which task asked, for the MLflow run.

    Returns
    -------
    dict
        As :class:`~airflow_mlops_provider.operators.detect_drift.DetectDriftOperator` describes, without ``passed``.
    """
    from airflow_mlops_provider.registry.monitoring import log_check, window_tags
    from airflow_mlops_provider.registry.profiles import write_profile
    from airflow_mlops_provider.registry.runs import logged_run

    request, reference, window = found.request, found.reference, found.window
    title = request.model_name or "data"
    with (
        MlflowHook(request.mlflow_conn_id).open() as registry,
        logged_run(
            registry,
            experiment_name=request.experiment_name,
            run_name=f"drift of {title} to {window.tag}",
            tags={
                **tags,
                **window_tags(check="drift", window=window, reference=reference.tag, verdict=found.verdict),
            },
        ) as run,
    ):
        if found.fingerprint is not None:
            run.log_dataset(found.fingerprint, context="monitoring")
        uri = write_profile(run, found.current)
        if found.report is not None:
            run.log_dict({**found.report.to_dict(), "multivariate": _plain(found)}, RESULT)
            run.log_text(_html(found, found.report), REPORT)
        log_check(run, _metrics(found), reference=reference.tag, name=reference.trend, window=window)
        return {
            **_summary(found),
            "model_name": request.model_name,
            "reference": reference.label,
            "window_end": window.tag,
            "rows": found.current.rows,
            "multivariate": _plain(found),
            "profile_uri": uri,
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": None if found.report is None else run.url(REPORT),
        }


def _summary(found: Comparison) -> dict[str, Any]:
    report = found.report
    if report is None:
        return {
            "verdict": found.verdict,
            "reasons": [found.reference.label],
            "drifted": [],
            "n_drifted": 0,
            "n_judged": 0,
            "drift_share": None,
            "importance_drifted": None,
            "schema": {"missing": [], "new": [], "retyped": {}},
        }
    schema = report.schema.to_dict()
    return {
        "verdict": report.verdict,
        "reasons": [_cut(reason) for reason in report.reasons[:MAX_NAMED]],
        "drifted": list(report.drifted_columns)[:MAX_NAMED],
        "n_drifted": report.n_drifted,
        "n_judged": report.n_judged,
        "drift_share": report.drift_share,
        "importance_drifted": report.importance_drifted,
        "schema": {
            "missing": schema["missing"][:MAX_NAMED],
            "new": schema["new"][:MAX_NAMED],
            "retyped": dict(list(schema["retyped"].items())[:MAX_NAMED]),
        },
    }


def _plain(found: Comparison) -> dict[str, dict[str, Any]]:
    return {name: dict(one) for name, one in found.multivariate.items()}


def _said(one: Mapping[str, Any]) -> str:
    """Say in a sentence what comparing all columns together gave."""
    if "reason" in one:
        return str(one["reason"])
    word = "differs" if one["drift"] else "does not differ"
    if "roc_auc" in one:
        return (
            f"{word}: a model tells current from reference rows with ROC AUC {one['roc_auc']:.3f} "
            f"[{one['lower']:.3f}, {one['upper']:.3f}]; 0.5 is chance, {one['threshold']:g} matters"
        )
    return (
        f"{word}: mean error {one['current']:.3g} on current rows, {one['reference']:.3g} on reference rows; "
        f"from {one['lower']:.3g} to {one['upper']:.3g} nothing changed"
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REASON_CHARACTERS else text[: MAX_REASON_CHARACTERS - 1] + "…"


def _metrics(found: Comparison) -> dict[str, float]:
    from airflow_mlops_provider.registry.monitoring import ROWS, metric_name

    report = found.report
    metrics: dict[str, float] = {ROWS: found.current.rows}
    if report is None:
        return metrics
    metrics |= {
        "drifted_columns": report.n_drifted,
        "judged_columns": report.n_judged,
        "is_drift": float(report.verdict == "drift"),
        **{
            f"multivariate.{name}.{key}": float(one[key])
            for name, one in found.multivariate.items()
            for key in ("roc_auc", "reference", "current")
            if key in one
        },
    }
    if report.drift_share is not None:
        metrics["drift_share"] = report.drift_share
    if report.importance_drifted is not None:
        metrics["importance_drifted"] = report.importance_drifted
    for one in report.columns:
        if one.effect is not None:
            metrics[metric_name("effect", one.column)] = one.effect.value
        metrics[metric_name("missing_share", one.column)] = one.missing.current_share
    return metrics


def _html(found: Comparison, report: DriftReport) -> str:
    from airflow_mlops_provider.reports.drift import drift_report

    policy = {name: value for name, value in found.request.policy.to_dict().items() if value not in ({}, [], None)}
    source = "" if found.fingerprint is None else f" of {found.fingerprint.uri}"
    about = {
        "title": found.request.model_name or "data",
        "window_end": found.window.tag,
        "reference": found.reference.label,
        "current": f"{found.current.rows} rows{source}",
        "policy": policy,
        "multivariate": {name.replace("_", " "): _said(one) for name, one in found.multivariate.items()},
    }
    return drift_report(report, cells=_cells(found, report), about=about)


def _cells(found: Comparison, report: DriftReport) -> dict[str, CellCounts]:
    """Return the aligned counts of the columns that have a picture."""
    from airflow_mlops_provider.core.profile_pairs import cells_of

    before, cells = found.reference.profile, {}
    for one in report.columns:
        if before is not None and one.effect is not None:
            aligned = cells_of(before.column(one.column), found.current.column(one.column))
            if aligned is not None:
                cells[one.column] = aligned
    return cells
