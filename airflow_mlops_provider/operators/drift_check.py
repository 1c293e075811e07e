"""One drift comparison from what the user names to a verdict; shared by the operator and the sensor.

It finds the two sides, lets ``core`` decide, and reads rows again where profiles cannot tell. It records nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.operators.drift_sides import PREVIOUS, DriftRequest, Reference, find_current, find_reference

if TYPE_CHECKING:
    from airflow_mlops_provider.core.drift_report import DriftReport
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.registry.monitoring import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came out.

    Parameters
    ----------
    request : DriftRequest
        What was asked.
    window : Window
        That the current rows cover.
    reference : Reference
        What the current rows were compared with; its rows are closed by now.
    current : DatasetProfile
        Of the current rows.
    fingerprint : Fingerprint or None
        Of the current rows; None where only their profile was given.
    report : DriftReport or None
        None where there is nothing to compare with.
    multivariate : mapping of str to mapping
        What comparing all columns together gave; empty where no rows of the reference are kept.
    """

    request: DriftRequest
    window: Window
    reference: Reference
    current: DatasetProfile
    fingerprint: Fingerprint | None
    report: DriftReport | None
    multivariate: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``drift``, ``no_drift`` or ``insufficient_data``."""
        return "insufficient_data" if self.report is None else self.report.verdict


def check_arguments(*, data: Any, profile: Any, model_name: Any, reference: Any) -> None:
    """Refuse arguments that contradict each other, when the DAG is parsed."""
    if (data is None) == (profile is None):
        raise InputError("A drift check takes the current rows as data, or their profile: one of the two.")
    if model_name is None and (reference is None or reference == PREVIOUS):
        raise InputError("A drift check without model_name needs a reference: data, or a profile.")


def compare(request: DriftRequest, *, log: Any) -> Comparison:
    """Compare the two sides.

    Parameters
    ----------
    request : DriftRequest
        What to compare.
    log : logger
        Told what was found.

    Raises
    ------
    NoDataError
        There are no current rows.
    InputError
        The two cannot be compared.
    DataChangedError, OutageError
        Trying again may help.
    """
    from airflow_mlops_provider.registry.monitoring import Window

    window = Window.parse(request.window_end)
    with ExitStack() as opened:
        reference = find_reference(request, window, opened)
        current = find_current(request, reference, opened)
        found = Comparison(
            request=request,
            window=window,
            reference=reference,
            current=current.profile,
            fingerprint=current.fingerprint,
            report=None,
        )
        if reference.profile is None:
            log.warning("%s", reference.label)
            return found
        before = _comparable(reference.profile, current.profile, target=reference.target)
        reference = replace(reference, profile=before)
        report = _decide(reference, current.profile, request, rows=current.rows)
        multivariate = _together(reference, report, current.rows, seed=request.policy.seed)
    _tell(log, report, reference)
    return replace(found, reference=reference, report=report, multivariate=multivariate)


def _decide(reference: Reference, current: DatasetProfile, request: DriftRequest, *, rows: Any) -> DriftReport:
    """Decide from profiles; and again from the values of columns whose profiles are too coarse to tell."""
    from airflow_mlops_provider.core.decide_drift import decide_drift
    from airflow_mlops_provider.operators.drift_rows import columns_to_read, values_of

    assert reference.profile is not None  # noqa: S101 - the caller's condition
    report = decide_drift(reference.profile, current, request.policy, importances=reference.importances)
    if rows is None or reference.rows is None:
        return report
    names = columns_to_read(report)
    if not names:
        return report
    values = values_of(names, reference.rows, rows)
    return decide_drift(reference.profile, current, request.policy, importances=reference.importances, values=values)


def _together(reference: Reference, report: DriftReport, rows: Any, *, seed: int) -> Mapping[str, Mapping[str, Any]]:
    from airflow_mlops_provider.operators.drift_rows import compare_together

    if rows is None or reference.sample is None:
        return {}
    columns = [one.column for one in report.columns if one.column != reference.target]
    return compare_together(reference.sample, rows, columns, seed=seed)


def _tell(log: Any, report: DriftReport, reference: Reference) -> None:
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


def _comparable(before: DatasetProfile, current: DatasetProfile, *, target: str | None) -> DatasetProfile:
    """Leave the target out of the reference where the current rows have no labels yet: that is no change of schema."""
    has_target = any(one.name == target and one.types for one in current.columns)
    if target is None or has_target:
        return before
    return replace(before, columns=tuple(one for one in before.columns if one.name != target))
