"""One look at a model's realised performance, from what the user names to a verdict; shared by operator and sensor.

It reads, joins and lets ``core`` decide. It records nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError, NoDataError, NoLabelError
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.performance_report import PerformanceReport
    from airflow_mlops_provider.core.performance_segments import Segment
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.operators.labelled_rows import LabelledRows
    from airflow_mlops_provider.operators.scored_rows import ScoredRows
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.monitoring import Window
    from airflow_mlops_provider.registry.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRequest:
    """What to judge, rendered; the fields are the arguments of CheckPerformanceOperator."""

    model_name: str
    predictions: Any
    labels: Any
    key_columns: tuple[str, ...]
    policy: PerformancePolicy
    segments: tuple[tuple[str, ...], ...]
    window_end: str
    version: Any
    alias: str
    time_column: str
    label_time_column: str | None
    mlflow_conn_id: str
    experiment_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceCheck:
    """What came out.

    Parameters
    ----------
    request : PerformanceRequest
        What was asked.
    window : Window
        That was judged: it ends where the youngest rows do whose labels are expected.
    as_of : Window
        What was asked for: the end of the time in which labels became known.
    version : Version
        Whose performance it is.
    report : PerformanceReport
        The decision.
    scored : Fingerprint
        Of the predictions.
    labels : Fingerprint or None
        Of the labels; None where there are none yet.
    """

    request: PerformanceRequest
    window: Window
    as_of: Window
    version: Version
    report: PerformanceReport
    scored: Fingerprint
    labels: Fingerprint | None


def segments_argument(given: Sequence[str | Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the divisions that a user's ``segment_columns`` stand for.

    Raises
    ------
    InputError
        It is a bare string, or names a division twice or without a column.

    Examples
    --------
    >>> segments_argument(["plan", ["plan", "region"]])
    (('plan',), ('plan', 'region'))
    """
    if isinstance(given, str):
        raise InputError(f"segment_columns must be a list of columns; got {given!r}. Hint: write [{given!r}].")
    found = tuple((one,) if isinstance(one, str) else tuple(one) for one in given)
    if len(set(found)) != len(found) or any(not one or len(set(one)) != len(one) for one in found):
        raise InputError(
            f"segment_columns must hold different columns, or lists of them to cross; got {list(given)!r}."
        )
    return found


def check_performance(request: PerformanceRequest, *, log: Any) -> PerformanceCheck:
    """Judge a window.

    Parameters
    ----------
    request : PerformanceRequest
        What to judge.
    log : logger
        Told what was found.

    Raises
    ------
    NoDataError
        There are no predictions, or no label is of any of them.
    InputError
        The model, predictions or labels are not what they should be.
    DataChangedError, OutageError
        Trying again may help.
    """
    from airflow_mlops_provider.core.decide_performance import decide_performance
    from airflow_mlops_provider.core.performance_report import Coverage
    from airflow_mlops_provider.operators.scored_rows import predictions_of, read_scored, scored_data
    from airflow_mlops_provider.operators.scoring_model import read_version_evidence
    from airflow_mlops_provider.registry.champion import resolve
    from airflow_mlops_provider.registry.monitoring import Window
    from airflow_mlops_provider.registry.segments import read_segments

    as_of = Window.parse(request.window_end)
    with MlflowHook(request.mlflow_conn_id).open() as registry:
        version = resolve(registry, request.model_name, request.version, alias=request.alias)
        evidence = read_version_evidence(registry, version)
        heldout = read_segments(registry, version, metric=request.policy.metric or evidence.metric)
    columns = list(dict.fromkeys(name for names in request.segments for name in names))
    scored = read_scored(
        scored_data(request.predictions),
        evidence=evidence,
        version=version.version,
        keys=request.key_columns,
        others=columns,
        time_column=request.time_column,
    )
    chosen = _rows_of_window(request, as_of, scored, evidence)
    labelled, note = _labels(request, as_of, scored, evidence, scored.rows[chosen.positions])
    coverage = Coverage(
        version=version.version,
        window=chosen.counts,
        other_versions={name: rows for name, rows in scored.versions.items() if name != version.version},
        note=note,
        **({} if labelled is None else {"labels": labelled.counts}),
    )
    predictions = None
    segments: list[Segment] = []
    left_out = 0
    if labelled is not None and len(labelled.rows):
        rows = scored.table.take(labelled.rows)
        predictions = predictions_of(rows, labelled.values, evidence)
        segments, left_out = _segments(request, rows, labelled.others)
    report = decide_performance(
        predictions,
        coverage=coverage,
        standard=_standard(evidence),
        policy=request.policy,
        segments=segments,
        segments_left_out=left_out,
        segment_standards=heldout,
    )
    _tell(log, report)
    return PerformanceCheck(
        request=request,
        window=as_of.before(days=request.policy.label_delay_days),
        as_of=as_of,
        version=version,
        report=report,
        scored=scored.fingerprint,
        labels=None if labelled is None else labelled.fingerprint,
    )


def _standard(evidence: TrainingEvidence) -> Any:
    from airflow_mlops_provider.core.metric_change import Standard
    from airflow_mlops_provider.core.performance import MetricValue

    values = {name: MetricValue(**one) for name, one in evidence.metrics.items()}
    return Standard(task=evidence.task, metric=evidence.metric, values=values)


def _rows_of_window(request: PerformanceRequest, as_of: Window, scored: ScoredRows, evidence: TrainingEvidence) -> Any:
    from airflow_mlops_provider.core.scored_window import rows_of_window
    from airflow_mlops_provider.operators.scored_rows import output_names

    names = [name for name in output_names(evidence) if name in scored.table.column_names]
    table = scored.table.select(list(dict.fromkeys([*request.key_columns, *names]))).take(scored.rows)
    return rows_of_window(
        table,
        times=scored.times_of(scored.rows),
        end=as_of.end,
        keys=request.key_columns,
        label_delay_days=request.policy.label_delay_days,
        window_days=request.policy.window_days,
    )


def _labels(
    request: PerformanceRequest, as_of: Window, scored: ScoredRows, evidence: TrainingEvidence, positions: Any
) -> tuple[LabelledRows | None, str]:
    """Return the labels; or None, and why there are none: an outage of labels must be seen, and is no error here."""
    from airflow_mlops_provider.operators.labelled_rows import read_labels

    try:
        found = read_labels(
            request.labels,
            scored.table,
            keys=request.key_columns,
            evidence=evidence,
            positions=positions,
            time_column=request.label_time_column,
            now=as_of.end,
            others=[name for names in request.segments for name in names if name not in scored.table.column_names],
        )
    except NoLabelError:
        raise
    except NoDataError as error:
        return None, f"there are no labels: {error}"
    return found, ""


def _segments(request: PerformanceRequest, rows: pa.Table, others: pa.Table) -> tuple[list[Segment], int]:
    from airflow_mlops_provider.core.performance_segments import segments_of

    columns = {}
    for name in dict.fromkeys(name for names in request.segments for name in names):
        table = next((one for one in (rows, others) if name in one.column_names), None)
        if table is None:
            raise InputError(
                f"Neither the predictions nor the labels have the segment column {name!r}. "
                "Hint: let BatchScoreOperator carry it over, by key_columns."
            )
        columns[name] = table.column(name)
    return segments_of(columns, request.segments)


def _tell(log: Any, report: PerformanceReport) -> None:
    log.info("%s: %s", report.verdict, "; ".join(report.reasons))
    coverage = report.coverage
    log.info("%d of %d rows are labelled (%.1f %%)", coverage.labels.joined, coverage.window.kept, 100 * coverage.share)
    for finding in coverage.findings():
        log.info("  %s", finding)
    for one in report.worst_segments:
        log.warning("Segment %s: %s", one.label, one.change.describe() if one.change else one.reason)
