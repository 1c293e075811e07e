"""How a check of rows or predictions against a version is recorded; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.scoring_outcome import brief
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.core.prediction_policy import PredictionReport
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.core.skew_policy import SkewReport
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.operators.base import MLOpsOperator
    from airflow_mlops_provider.registry.versions import Version


def record_check(
    operator: MLOpsOperator,
    context: Context,
    *,
    kind: str,
    version: Version,
    report: SkewReport | PredictionReport,
    profile: DatasetProfile,
    fingerprint: Fingerprint,
    policy: Mapping[str, Any],
) -> dict[str, Any]:
    """Record a check in a run of its own and return the XCom.

    Parameters
    ----------
    operator : MLOpsOperator
        Who checked.
    context : Context
        Of the running task.
    kind : str
        What was checked: ``features`` or ``predictions``; also the folder of the artifacts.
    version : Version
        Against which.
    report : SkewReport or PredictionReport
        What was found.
    profile : DatasetProfile
        Of what was checked, in the version's cells.
    fingerprint : Fingerprint
        Of the data.
    policy : mapping
        What was allowed.
    """
    from airflow_mlops_provider.registry.profiles import write_profile
    from airflow_mlops_provider.registry.runs import logged_run
    from airflow_mlops_provider.reports.checks import checks_report

    plain = report.to_dict()
    path = f"{kind}/report.html"
    with (
        MlflowHook(operator.mlflow_conn_id).open() as registry,
        logged_run(
            registry,
            experiment_name=operator.experiment_name,
            run_name=f"check {kind} of {version.model_name} {version.version}",
            tags={**context_tags(context, type(operator).__name__), "mlops.verdict": report.verdict},
        ) as run,
    ):
        run.log_dataset(fingerprint, context=kind)
        run.log_metrics({"rows": report.rows, "findings": len(report.findings), "passed": float(report.passed)})
        run.log_dict({**plain, "policy": dict(policy)}, f"{kind}/report.json")
        html = checks_report(
            kind=f"Check of {kind}",
            title=version.label[0].upper() + version.label[1:],
            word=report.verdict.replace("_", " "),
            good=report.passed,
            reasons=report.reasons,
            figures={"Rows": report.rows, "Findings": len(report.findings)},
            sections={"Findings": plain["findings"]},
            about={
                "Data": fingerprint.uri,
                f"SHA-256 of the {fingerprint.basis}": fingerprint.sha256,
                "Policy": ", ".join(f"{name}={value}" for name, value in policy.items()),
            },
        )
        run.log_text(html, path)
        return {
            "passed": report.passed,
            "model_name": version.model_name,
            "version": version.version,
            **(brief(report) or {}),
            "rows": report.rows,
            "fingerprint": fingerprint.to_dict(),
            "profile_uri": write_profile(run, profile),
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": run.url(path),
            "model_version_url": registry.version_url(model_name=version.model_name, version=version.version),
        }
