"""The performance sensor: waits until a model has become worse, or until enough labels are known to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_mlops_provider.core.errors import DataChangedError, InputError, NoDataError
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.links.mlflow import MlflowModelVersionLink, MlflowReportLink, MlflowRunLink
from airflow_mlops_provider.notifications.send import AlertTarget
from airflow_mlops_provider.operators.base import render_query
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
from airflow_mlops_provider.sensors.waiting import WaitingSensor
from airflow_mlops_provider.sensors.watched_files import check_watchable, files_trigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.triggers.new_data import NewDataTrigger

WaitFor = Literal["drop", "labels"]


class ModelPerformanceSensor(WaitingSensor):
    """Wait until a model has become worse, or until its window can be judged.

    Each look reads predictions and labels and judges as CheckPerformanceOperator does, whose parameters of the same
    names mean the same here. Predictions or labels that are not there yet, have no rows, are of other rows, change
    while they are read, or are too few mean waiting on; what can never be judged, such as two different labels of one
    row, fails the task. The look that ends the wait is recorded in MLflow, and no other. Deferrable, the task gives its
    slot back between two looks and comes back when files have changed; the mathematics is done on the worker.

    Parameters
    ----------
    model_name, predictions, labels, key_columns, policy, window_end, segment_columns, version, alias, time_column, \
label_time_column, mlflow_conn_id, experiment_name
        See CheckPerformanceOperator. The window does not move while the task waits: rows that are too young at
        `window_end` stay so, and with `label_time_column` labels after it are never known.
    wait_for : {"drop", "labels"}, default "drop"
        ``labels`` ends the wait with the first verdict that is not ``insufficient_data``, good or bad.
    deferrable : bool, default False
        Wait in the triggerer for changed files. `predictions` and `labels` must then be paths, or the XCom of a scoring
        task, which the triggerer sees as the worker does.
    alerts : sequence of notifiers or callables, optional
        Told of the drop that ends the wait; see :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.
    **kwargs
        Of Airflow's ``BaseSensorOperator``: ``poke_interval``, ``timeout``, ``soft_fail``, ``mode``…

    Raises
    ------
    InvalidInputError
        The predictions, the labels or the policy are wrong. Not retried.
    RetryableError
        MLflow or a database does not answer. Retried as the task's ``retries`` say.
    AirflowSensorTimeout
        There was no drop, or there were not enough labels, within ``timeout``.

    Notes
    -----
    XCom: as of CheckPerformanceOperator. The asset event is the same, too.

    Examples
    --------
    >>> ModelPerformanceSensor(
    ...     task_id="wait_for_labels",
    ...     model_name="churn",
    ...     predictions="/scores/*.parquet",
    ...     labels="/labels/churned.parquet",
    ...     key_columns=["customer_id"],
    ...     policy={"label_delay_days": 60},
    ...     wait_for="labels",
    ...     deferrable=True,
    ... )
    <Task(ModelPerformanceSensor): wait_for_labels>
    """

    template_fields: Sequence[str] = (
        "mlflow_conn_id",
        "experiment_name",
        "model_name",
        "predictions",
        "labels",
        "window_end",
        "version",
        "alias",
    )
    operator_extra_links = (MlflowRunLink(), MlflowReportLink(), MlflowModelVersionLink())

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
        wait_for: WaitFor = "drop",
        mlflow_conn_id: str = "mlflow_default",
        experiment_name: str | None = None,
        deferrable: bool = False,
        alerts: Sequence[AlertTarget] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        if wait_for not in get_args(WaitFor):
            raise InputError(
                f"wait_for of ModelPerformanceSensor must be one of {', '.join(get_args(WaitFor))}; got {wait_for!r}."
            )
        if deferrable:
            check_watchable(predictions)
            check_watchable(labels)
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
        self.wait_for = wait_for
        self.mlflow_conn_id = mlflow_conn_id
        self.experiment_name = drift_experiment(experiment_name, model_name)
        self.alerts = alerts
        self.outlet = model_outlet(model_name)
        self.outlets = [*self.outlets, self.outlet]

    def trigger(self) -> NewDataTrigger:
        """Return what waits for changed files."""
        from airflow_mlops_provider.operators.scored_rows import scored_data

        both = (scored_data(self.predictions), self.labels)
        paths = [one for given in both for one in (given if isinstance(given, list | tuple) else [given])]
        return files_trigger(paths, poll_interval_seconds=self.poke_interval)

    def look(self, context: Context) -> dict[str, Any] | None:
        """Return the recorded verdict, or None when it is not the one that is waited for."""
        request = PerformanceRequest(
            model_name=self.model_name,
            predictions=render_query(self, self.predictions, context),
            labels=render_query(self, self.labels, context),
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
        )
        try:
            found = check_performance(request, log=self.log)
        except (NoDataError, DataChangedError) as error:
            self.log.info("Nothing to judge yet: %s", error)
            return None
        verdict = found.report.verdict
        if verdict == "insufficient_data" or (verdict == "no_drop" and self.wait_for == "drop"):
            return None
        result = record(found, tags=context_tags(context, type(self).__name__))
        if verdict == "no_drop":
            return {"passed": True, **result}
        emit_drop(context, self.outlet, result)
        return self.bad_verdict(context, result, alerts=self.alerts, mlflow_conn_id=self.mlflow_conn_id)
