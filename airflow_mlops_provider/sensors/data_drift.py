"""The drift sensor: waits until the data behind a path have drifted away from what the champion knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import DataChangedError, NoDataError
from airflow_mlops_provider.links.mlflow import MlflowReportLink, MlflowRunLink
from airflow_mlops_provider.notifications.send import AlertTarget
from airflow_mlops_provider.operators.base import render_query
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, drift_experiment
from airflow_mlops_provider.operators.drift_check import check_arguments, compare
from airflow_mlops_provider.operators.drift_record import record
from airflow_mlops_provider.operators.drift_sides import DriftRequest
from airflow_mlops_provider.operators.model_events import emit_drift, model_outlet
from airflow_mlops_provider.operators.tracking import context_tags
from airflow_mlops_provider.sensors.waiting import WaitingSensor
from airflow_mlops_provider.sensors.watched_files import check_watchable, files_trigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.triggers.new_data import NewDataTrigger


class DataDriftSensor(WaitingSensor):
    """Wait until there is drift.

    Each look profiles the data and compares as DetectDriftOperator does, whose parameters of the same names mean the
    same here. Data that are not there yet, have no rows, change while they are read, or are too few mean waiting on; a
    damaged file fails the task, so writers must put whole files in place by renaming. A look that finds drift is
    recorded in MLflow, and no other. Deferrable, the task gives its slot back between two
    looks and comes back when the files have changed; the mathematics is done on the worker.

    Parameters
    ----------
    data, model_name, reference, policy, window_end, mlflow_conn_id, experiment_name
        See DetectDriftOperator. Templated but for the policy. ``reference="previous"`` means the windows that
        DetectDriftOperator recorded.
    deferrable : bool, default False
        Wait in the triggerer for changed files. `data` must then be paths, which the triggerer sees as the worker does.
    alerts : sequence of notifiers or callables, optional
        Told of the drift that ends the wait; see :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.
    **kwargs
        Of Airflow's ``BaseSensorOperator``: ``poke_interval``, ``timeout``, ``soft_fail``, ``mode``…

    Raises
    ------
    InvalidInputError
        The data, the reference or the policy is wrong. Not retried.
    RetryableError
        MLflow or a database does not answer. Retried as the task's ``retries`` say.
    AirflowSensorTimeout
        There was no drift within ``timeout``.

    Notes
    -----
    XCom: as of DetectDriftOperator. The asset event is the same, too.

    Examples
    --------
    >>> DataDriftSensor(
    ...     task_id="wait_for_drift", model_name="churn", data="/customers/*.parquet", deferrable=True, timeout=86_400
    ... )
    <Task(DataDriftSensor): wait_for_drift>
    """

    template_fields: Sequence[str] = (
        "mlflow_conn_id",
        "experiment_name",
        "data",
        "model_name",
        "reference",
        "window_end",
    )
    operator_extra_links = (MlflowRunLink(), MlflowReportLink())

    def __init__(
        self,
        *,
        data: Any,
        model_name: str | None = None,
        reference: Any = None,
        policy: DriftPolicy | Mapping[str, Any] | None = None,
        window_end: str = WINDOW_END,
        mlflow_conn_id: str = "mlflow_default",
        experiment_name: str | None = None,
        deferrable: bool = False,
        alerts: Sequence[AlertTarget] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        check_arguments(data=data, profile=None, model_name=model_name, reference=reference)
        self.data = data
        self.model_name = model_name
        self.reference = reference
        self.policy = DriftPolicy.of(policy)
        self.window_end = window_end
        self.mlflow_conn_id = mlflow_conn_id
        self.experiment_name = drift_experiment(experiment_name, model_name)
        if deferrable:
            check_watchable(data)
        self.alerts = alerts
        self.outlet = None if model_name is None else model_outlet(model_name)
        if self.outlet is not None:
            self.outlets = [*self.outlets, self.outlet]

    def trigger(self) -> NewDataTrigger:
        """Return what waits for changed files."""
        return files_trigger(self.data, poll_interval_seconds=self.poke_interval)

    def look(self, context: Context) -> dict[str, Any] | None:
        """Return the recorded drift, or None when there is none or nothing to look at."""
        request = DriftRequest(
            data=render_query(self, self.data, context),
            profile=None,
            model_name=self.model_name,
            reference=render_query(self, self.reference, context),
            policy=self.policy,
            window_end=str(self.window_end),
            mlflow_conn_id=self.mlflow_conn_id,
            experiment_name=self.experiment_name,
        )
        try:
            found = compare(request, log=self.log)
        except (NoDataError, DataChangedError) as error:
            self.log.info("Nothing to compare yet: %s", error)
            return None
        if found.verdict != "drift":
            return None
        result = record(found, tags=context_tags(context, type(self).__name__))
        if self.outlet is not None:
            emit_drift(context, self.outlet, result)
        return self.bad_verdict(context, result, alerts=self.alerts, mlflow_conn_id=self.mlflow_conn_id)
