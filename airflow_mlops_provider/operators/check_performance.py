"""The performance operator: is the model as good as it was on the rows held out of its training?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.specs import OnReject
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, drift_experiment
from airflow_mlops_provider.operators.labelled_rows import check_keys
from airflow_mlops_provider.operators.model_events import emit_drop, model_outlet
from airflow_mlops_provider.operators.performance_check import (
    PerformanceRequest,
    check_performance,
    segments_argument,
)
from airflow_mlops_provider.operators.performance_record import record
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckPerformanceOperator(MLOpsOperator):
    """Compare what a model predicted with what came true, and say whether it has become worse.

    It has when the metric is worse than on the version's held-out rows beyond chance, both being samples, *and* by
    enough to matter. Only rows old enough for their labels to be known are judged; too few labels, and an outage of
    labels, are ``insufficient_data``, not "no drop".

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    predictions : XCom of a scoring task, str, path, Asset, SqlQuery, or a list of these
        What BatchScoreOperator wrote, of one window or of many. Templated.
    labels : str, path, Asset, SqlQuery, or a list of these
        Rows with the keys and the target. A row without a value, a table without rows and a file that is not there
        yet are labels not known. Templated.
    key_columns : sequence of str
        Columns that name a scored row, in both tables. A row that was scored again counts once.
    policy : PerformancePolicy or mapping of its fields, optional
        What counts as a drop, how late labels are, and how many are needed.
    window_end : str
        The time as of which to judge, ISO 8601; default the end of the run's data interval. The rows that are judged,
        and the window under which the check is recorded beside drift checks of the same rows, end the policy's
        `label_delay_days` before it. Templated.
    segment_columns : sequence of str or of sequences of str, default ()
        Columns of the predictions or the labels by which to look at parts of the rows; a list in it crosses its
        columns. Segments are findings: they do not change the verdict.
    version : str or int, optional
        Which version to judge; rows that others scored are left out. Default: that of `alias`. Templated.
    alias : str, default "champion"
        Templated.
    time_column : str, default "scored_at"
        When a row was scored.
    label_time_column : str, optional
        When a label became known. Of several labels of a row the latest up to `window_end` counts, and later ones are
        not known, so that a window judged again gives what it gave at its time.
    allow_insufficient_data : bool, default True
        Whether too few labels pass, with a warning in the log and the verdict in XCom; False makes them a bad verdict.
    on_drop : {"continue", "fail", "skip"}, default "continue"
        What a drop does to the task. Asset events need a task that succeeds, and the task has done its work.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> monitoring``.

    Notes
    -----
    XCom: ``passed, verdict, reasons, metric, value, reference, difference, difference_lower, difference_upper,
    labelled_rows, labelled_share, findings, worst_segments, model_name, version, window_end, as_of, run_id,
    experiment_id, run_url, report_url, model_version_url``. A difference is negative where the model is worse, also for
    errors. A drop, and only a drop, is an asset event on ``mlflow://models/<model_name>/performance``.

    Refused: labels of none of the scored rows, two different labels of one row, two different outputs of one row and
    time, probabilities outside of 0 to 1, missing predictions, classes the model does not know. Times without a zone
    are UTC. What else is odd about the labels (unknown keys, copies, labels from the future…) is counted in
    ``findings``.

    A segment is compared with the held-out rows of the same segment, where training kept their value: for each feature
    of at most 20 values by itself. Any other is compared with all held-out rows, and may have been harder from the
    start; the report says which, and the trend has the segment's own history.

    Examples
    --------
    >>> CheckPerformanceOperator(
    ...     task_id="performance",
    ...     model_name="churn",
    ...     predictions="/scores/*.parquet",
    ...     labels="/labels/churned.parquet",
    ...     key_columns=["customer_id"],
    ...     policy={"label_delay_days": 60, "window_days": 30, "max_drop": 0.03},
    ...     segment_columns=["contract"],
    ... )
    <Task(CheckPerformanceOperator): performance>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "predictions",
        "labels",
        "window_end",
        "version",
        "alias",
    )

    def __init__(
        self,
        *,
        model_name: str,
        predictions: Any,
        labels: Any,
        key_columns: Sequence[str],
        policy: PerformancePolicy | Mapping[str, Any] | None = None,
        window_end: str = WINDOW_END,
        segment_columns: Sequence[str | Sequence[str]] = (),
        version: Any = None,
        alias: str = "champion",
        time_column: str = "scored_at",
        label_time_column: str | None = None,
        allow_insufficient_data: bool = True,
        on_drop: OnReject = "continue",
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(on_reject=on_drop, experiment_name=drift_experiment(experiment_name, model_name), **kwargs)
        self.model_name = model_name
        self.predictions = predictions
        self.labels = labels
        self.key_columns = check_keys(type(self).__name__, key_columns)
        self.policy = PerformancePolicy.of(policy)
        self.window_end = window_end
        self.segment_columns = segments_argument(segment_columns)
        self.version = version
        self.alias = alias
        self.time_column = time_column
        self.label_time_column = label_time_column
        self.allow_insufficient_data = allow_insufficient_data
        self.outlet = model_outlet(model_name)
        self.outlets = [*self.outlets, self.outlet]

    def perform(self, context: Context) -> dict[str, Any]:
        """Judge, record, tell."""
        found = check_performance(
            PerformanceRequest(
                model_name=self.model_name,
                predictions=self.render_data(self.predictions, context),
                labels=self.render_data(self.labels, context),
                key_columns=self.key_columns,
                policy=self.policy,
                segments=self.segment_columns,
                window_end=str(self.window_end),
                version=self.version,
                alias=self.alias,
                time_column=self.time_column,
                label_time_column=self.label_time_column,
                mlflow_conn_id=self.mlflow_conn_id,
                experiment_name=self.experiment_name,
            ),
            log=self.log,
        )
        result = record(found, tags=context_tags(context, type(self).__name__))
        if result["verdict"] == "insufficient_data":
            self.log.warning("Too few labels to tell: %s", "; ".join(result["reasons"]))
        if result["verdict"] == "drop":
            emit_drop(context, self.outlet, result)
        accepted = {"no_drop", "insufficient_data"} if self.allow_insufficient_data else {"no_drop"}
        return {"passed": result["verdict"] in accepted, **result}
