"""One drift check from what the user names to the recorded report; shared by the operator and the sensor.

It finds the two profiles, lets ``core`` decide, and records. It decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.profile_data import profile_uri

if TYPE_CHECKING:
    from airflow_mlops_provider.core.drift_report import DriftReport
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.registry.monitoring import Window
    from airflow_mlops_provider.registry.session import Registry

REPORT = "drift/report.html"
RESULT = "drift/report.json"
PREVIOUS = "previous"
# Columns named in XCom and reasons; all are in the report.
MAX_NAMED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRequest:
    """What to compare with what, rendered.

    Parameters
    ----------
    data : data argument or None
        Current rows.
    profile : address, XCom of a profiling task, or None
        Current profile, instead of `data`.
    model_name : str or None
        Whose champion gives the reference and the importances.
    reference : None, "previous", address, XCom of a profiling task, or data argument
        None: the champion's training rows.
    policy : DriftPolicy
        What counts as drift.
    window_end : str
        End of the time that the current rows cover.
    mlflow_conn_id, experiment_name : str
        Where it is recorded.
    """

    data: Any
    profile: Any
    model_name: str | None
    reference: Any
    policy: DriftPolicy
    window_end: str
    mlflow_conn_id: str
    experiment_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the current rows are compared with.

    Parameters
    ----------
    profile : DatasetProfile or None
        None: there is no window before this one.
    cells : DatasetProfile or None
        Whose grids to count the current rows in; None takes those of `profile`.
    label : str
        For people.
    tag : str
        Of whose cells they are; windows of one tag are comparable.
    importances : mapping of str to float, or None
        Of the champion's features.
    target : str or None
        Of the champion.
    """

    profile: DatasetProfile | None
    cells: DatasetProfile
    label: str
    tag: str
    importances: Mapping[str, float] | None = None
    target: str | None = None


def check_arguments(*, data: Any, profile: Any, model_name: Any, reference: Any) -> None:
    """Refuse arguments that contradict each other, when the DAG is parsed."""
    if (data is None) == (profile is None):
        raise InputError("A drift check takes the current rows as data, or their profile: one of the two.")
    if model_name is None and (reference is None or reference == PREVIOUS):
        raise InputError("A drift check without model_name needs a reference: data, or a profile.")


def policy_of(given: DriftPolicy | Mapping[str, Any] | None) -> DriftPolicy:
    """Return the policy that a user's argument stands for."""
    if given is None:
        return DriftPolicy()
    return given if isinstance(given, DriftPolicy) else DriftPolicy.from_dict(given)


def run_check(request: DriftRequest, *, tags: Mapping[str, str], log: Any) -> dict[str, Any]:
    """Compare, record, and return the XCom.

    Parameters
    ----------
    request : DriftRequest
        What to compare.
    tags : mapping of str to str
        Which task asks, for the MLflow run.
    log : logger
        Told what was found.

    Returns
    -------
    dict
        ``verdict, reasons, drifted, n_judged, drift_share, importance_drifted, schema, reference, window_end, rows,
        profile_uri, run_id, experiment_id, run_url, report_url``.
    """
    from airflow_mlops_provider.core.decide_drift import decide_drift
    from airflow_mlops_provider.registry.monitoring import Window

    window = Window.parse(request.window_end)
    reference = _reference(request, window)
    current, fingerprint = _current(request, reference)
    before = reference.profile
    if before is None:
        log.warning("There is no window before %s to compare with", window.tag)
        return _record(request, reference, current, None, fingerprint=fingerprint, window=window, tags=tags)
    before = _comparable(before, current, target=reference.target)
    report = decide_drift(before, current, request.policy, importances=reference.importances)
    log.info(
        "%s: %d of %d judged columns drifted against %s",
        report.verdict,
        report.n_drifted,
        report.n_judged,
        reference.label,
    )
    for one in report.columns:
        if one.verdict == "drift":
            log.info("  %s: %s", one.column, one.reason)
    return _record(request, reference, current, (before, report), fingerprint=fingerprint, window=window, tags=tags)


def _reference(request: DriftRequest, window: Window) -> Reference:
    from airflow_mlops_provider.registry.profiles import is_address, read_profile

    with MlflowHook(request.mlflow_conn_id).open() as registry:
        champion = None if request.model_name is None else _champion(registry, request.model_name)
        if champion is not None and request.reference in (None, PREVIOUS):
            return champion if request.reference is None else _previous(registry, request, champion, window)
        given = request.reference
        if is_address(given) or (isinstance(given, Mapping) and "profile_uri" in given):
            uri = profile_uri(given)
            profile = read_profile(registry, uri)
            found = Reference(profile=profile, cells=profile, label=f"profile {uri}", tag=uri)
        else:
            profile, fingerprint = _count(given, cells=None)
            label = f"{fingerprint.uri} ({profile.rows} rows)"
            found = Reference(profile=profile, cells=profile, label=label, tag=fingerprint.sha256)
    if champion is None:
        return found
    return Reference(
        profile=found.profile,
        cells=found.cells,
        label=found.label,
        tag=found.tag,
        importances=champion.importances,
        target=champion.target,
    )


def _champion(registry: Registry, model_name: str) -> Reference:
    from airflow_mlops_provider.registry.evidence import read_evidence
    from airflow_mlops_provider.registry.profiles import training_profile
    from airflow_mlops_provider.registry.versions import CHAMPION, resolve

    version = resolve(registry, model_name, None, alias=CHAMPION)
    evidence, _ = read_evidence(registry, run_id=version.run_id, version=version.version, model_name=model_name)
    profile = training_profile(registry, version)
    return Reference(
        profile=profile,
        cells=profile,
        label=f"the {evidence.rows} rows that {version.label} was trained on",
        tag=f"{model_name}/{version.version}",
        importances={name: max(pair[0], 0.0) for name, pair in evidence.importances.items()},
        target=evidence.target,
    )


def _previous(registry: Registry, request: DriftRequest, champion: Reference, window: Window) -> Reference:
    from airflow_mlops_provider.registry.monitoring import previous_profile

    experiment_id = registry.experiment_id(request.experiment_name)
    found = previous_profile(registry, experiment_id=experiment_id, reference=champion.tag, window=window)
    return Reference(
        profile=None if found is None else found[0],
        cells=champion.cells,
        label="no earlier window" if found is None else f"the window to {found[1]}",
        tag=champion.tag,
        importances=champion.importances,
        target=champion.target,
    )


def _current(request: DriftRequest, reference: Reference) -> tuple[DatasetProfile, Fingerprint | None]:
    if request.profile is None:
        return _count(request.data, cells=reference.cells)
    from airflow_mlops_provider.registry.profiles import read_profile

    with MlflowHook(request.mlflow_conn_id).open() as registry:
        return read_profile(registry, profile_uri(request.profile)), None


def _count(data: Any, *, cells: DatasetProfile | None) -> tuple[DatasetProfile, Fingerprint]:
    from airflow_mlops_provider.data.profiling import profile_source

    with open_data(data) as source:
        profile = profile_source(source, grids=None if cells is None else cells.grids)
        return profile, source.fingerprint()


def _comparable(before: DatasetProfile, current: DatasetProfile, *, target: str | None) -> DatasetProfile:
    """Leave the target out of the reference where the current rows have no labels yet: that is no change of schema."""
    from dataclasses import replace

    has_target = any(one.name == target and one.types for one in current.columns)
    if target is None or has_target:
        return before
    return replace(before, columns=tuple(one for one in before.columns if one.name != target))


def _record(
    request: DriftRequest,
    reference: Reference,
    current: DatasetProfile,
    decided: tuple[DatasetProfile, DriftReport] | None,
    *,
    fingerprint: Fingerprint | None,
    window: Window,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    from airflow_mlops_provider.registry.monitoring import log_check, window_tags
    from airflow_mlops_provider.registry.profiles import write_profile
    from airflow_mlops_provider.registry.runs import logged_run

    verdict = "insufficient_data" if decided is None else decided[1].verdict
    title = request.model_name or "data"
    with (
        MlflowHook(request.mlflow_conn_id).open() as registry,
        logged_run(
            registry,
            experiment_name=request.experiment_name,
            run_name=f"drift of {title} to {window.tag}",
            tags={**tags, **window_tags(window=window, reference=reference.tag, verdict=verdict)},
        ) as run,
    ):
        if fingerprint is not None:
            run.log_dataset(fingerprint, context="monitoring")
        uri = write_profile(run, current)
        if decided is not None:
            report = decided[1]
            run.log_dict(report.to_dict(), RESULT)
            run.log_text(_html(request, reference, current, decided, fingerprint, window), REPORT)
            log_check(run, _metrics(report), trend=reference.tag, window=window)
        return {
            **_summary(None if decided is None else decided[1], window),
            "model_name": request.model_name,
            "reference": reference.label,
            "window_end": window.tag,
            "rows": current.rows,
            "profile_uri": uri,
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": None if decided is None else run.url(REPORT),
        }


def _summary(report: DriftReport | None, window: Window) -> dict[str, Any]:
    if report is None:
        reason = f"there is no window before {window.tag} to compare with"
        return {"verdict": "insufficient_data", "reasons": [reason], "drifted": [], "n_judged": 0}
    return {
        "verdict": report.verdict,
        "reasons": list(report.reasons)[:MAX_NAMED],
        "drifted": list(report.drifted_columns)[:MAX_NAMED],
        "n_drifted": report.n_drifted,
        "n_judged": report.n_judged,
        "drift_share": report.drift_share,
        "importance_drifted": report.importance_drifted,
        "schema": report.schema.to_dict(),
    }


def _metrics(report: DriftReport) -> dict[str, float]:
    from airflow_mlops_provider.registry.monitoring import metric_name

    metrics: dict[str, float] = {
        "drifted_columns": report.n_drifted,
        "judged_columns": report.n_judged,
        "rows": report.n_current,
        "is_drift": float(report.verdict == "drift"),
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


def _html(
    request: DriftRequest,
    reference: Reference,
    current: DatasetProfile,
    decided: tuple[DatasetProfile, DriftReport],
    fingerprint: Fingerprint | None,
    window: Window,
) -> str:
    from airflow_mlops_provider.core.profile_pairs import cells_of
    from airflow_mlops_provider.reports.drift import drift_report

    before, report = decided
    cells = {}
    for one in report.columns:
        found = cells_of(before.column(one.column), current.column(one.column)) if one.effect is not None else None
        if found is not None:
            cells[one.column] = found
    policy = {name: value for name, value in request.policy.to_dict().items() if value not in ({}, [], None)}
    about = {
        "title": request.model_name or "data",
        "window_end": window.tag,
        "reference": reference.label,
        "current": f"{current.rows} rows" + ("" if fingerprint is None else f" of {fingerprint.uri}"),
        "policy": policy,
        "multivariate": {},
    }
    return drift_report(report, cells=cells, about=about)
