"""One estimate of a model's performance without labels, from what the user names to a verdict; records nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops_provider.core.estimate_policy import EstimateReport
    from airflow_mlops_provider.core.expected import Scored
    from airflow_mlops_provider.core.predictions import Predictions
    from airflow_mlops_provider.core.scored_window import WindowCounts
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.operators.scored_rows import ScoredRows
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.monitoring import Window
    from airflow_mlops_provider.registry.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """What to judge, rendered; the fields are the arguments of EstimatePerformanceOperator."""

    model_name: str
    predictions: Any
    key_columns: tuple[str, ...]
    policy: EstimatePolicy
    window_end: str
    version: Any
    alias: str
    time_column: str
    mlflow_conn_id: str
    experiment_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateCheck:
    """What came out.

    Parameters
    ----------
    request : EstimateRequest
        What was asked.
    window : Window
        That was judged.
    version : Version
        Whose performance it is.
    report : EstimateReport
        The decision.
    reference : Predictions
        The version's held-out rows.
    current : Scored or None
        Rows of the window; None where there are none.
    counts : WindowCounts
        Which scored rows belong to the window.
    other_versions : mapping of str to int
        Rows that other versions scored, which were left out.
    scored : Fingerprint
        Of the predictions.
    """

    request: EstimateRequest
    window: Window
    version: Version
    report: EstimateReport
    reference: Predictions
    current: Scored | None
    counts: WindowCounts
    other_versions: Mapping[str, int]
    scored: Fingerprint


def estimate_performance(request: EstimateRequest, *, log: Any) -> EstimateCheck:
    """Judge a window.

    Parameters
    ----------
    request : EstimateRequest
        What to judge.
    log : logger
        Told what was found.

    Raises
    ------
    NoDataError
        There are no predictions at all.
    InputError
        The model is a regression or gives no probabilities, or the predictions are not what they should be.
    DataChangedError, OutageError
        Trying again may help.
    """
    from airflow_mlops_provider.core.decide_estimate import decide_estimate
    from airflow_mlops_provider.operators.scored_rows import read_scored, scored_data
    from airflow_mlops_provider.operators.scoring_model import read_version_evidence
    from airflow_mlops_provider.registry.champion import resolve
    from airflow_mlops_provider.registry.heldout import read_heldout
    from airflow_mlops_provider.registry.monitoring import Window

    window = Window.parse(request.window_end)
    with MlflowHook(request.mlflow_conn_id).open() as registry:
        version = resolve(registry, request.model_name, request.version, alias=request.alias)
        evidence = read_version_evidence(registry, version)
        _require_classifier(version, evidence)
        reference = read_heldout(registry, version, evidence)
    scored = read_scored(
        scored_data(request.predictions),
        evidence=evidence,
        version=version.version,
        keys=request.key_columns,
        time_column=request.time_column,
    )
    current, counts = _rows_of_window(request, window, scored, evidence)
    report = decide_estimate(reference, current, request.policy, metric=evidence.metric)
    others = {name: rows for name, rows in scored.versions.items() if name != version.version}
    log.info("%s: %s", report.verdict, "; ".join(report.reasons))
    log.info("%d rows of %s in the window, %d of other versions", counts.kept, version.label, sum(others.values()))
    return EstimateCheck(
        request=request,
        window=window,
        version=version,
        report=report,
        reference=reference,
        current=current,
        counts=counts,
        other_versions=others,
        scored=scored.fingerprint,
    )


def _require_classifier(version: Version, evidence: TrainingEvidence) -> None:
    if evidence.task == "regression":
        raise InputError(
            f"{version.title} is a regression, whose predictions do not say how sure they are, so its performance "
            "cannot be estimated without labels. Hint: CheckPerformanceOperator judges it once labels are there, "
            "DetectDriftOperator and ValidatePredictionsOperator its rows and predictions until then."
        )


def _rows_of_window(
    request: EstimateRequest, window: Window, scored: ScoredRows, evidence: TrainingEvidence
) -> tuple[Scored | None, WindowCounts]:
    from airflow_mlops_provider.core.expected import Scored
    from airflow_mlops_provider.core.scored_window import rows_of_window
    from airflow_mlops_provider.operators.scored_rows import column_values, output_names, predictions_of
    from airflow_mlops_provider.training.scoring import PREDICTION
    from airflow_mlops_provider.training.target import encode

    names = output_names(evidence)
    lacking = [name for name in names if name not in scored.table.column_names]
    if lacking:
        raise InputError(
            f"The scored rows lack the column {lacking[0]!r}, without which nothing can be estimated. "
            "Hint: give the output of a BatchScoreOperator whose model has probabilities."
        )
    chosen = rows_of_window(
        scored.table.select(list(dict.fromkeys([*request.key_columns, *names]))).take(scored.rows),
        times=scored.times_of(scored.rows),
        end=window.end,
        keys=request.key_columns,
        window_days=request.policy.window_days,
    )
    if not len(chosen.positions):
        return None, chosen.counts
    rows = scored.table.take(scored.rows[chosen.positions])
    predicted = column_values(rows, PREDICTION)
    encode(predicted, classes=evidence.classes, name=PREDICTION)
    # No truth is known: what was predicted stands in its place, and is not looked at.
    said = predictions_of(rows, predicted, evidence)
    return (
        Scored(labels=said.labels, predicted=said.predicted, probabilities=said.require_probabilities()),
        chosen.counts,
    )
