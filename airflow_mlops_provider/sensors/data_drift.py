"""The drift sensor: waits until the data behind a path have drifted away from what the champion knows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import DataChangedError, InputError, NoDataError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.data import airflow_access
from airflow_mlops_provider.links.mlflow import MlflowReportLink, MlflowRunLink
from airflow_mlops_provider.operators.base import airflow_errors, render_query
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, drift_experiment
from airflow_mlops_provider.operators.drift_check import check_arguments, compare, policy_of
from airflow_mlops_provider.operators.drift_record import record
from airflow_mlops_provider.operators.drift_sides import DriftRequest
from airflow_mlops_provider.operators.model_events import emit_drift, model_outlet
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context


class DataDriftSensor(BaseSensorOperator):
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
    template_ext: Sequence[str] = ()
    ui_color = "#d7ecf5"
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_arguments(data=data, profile=None, model_name=model_name, reference=reference)
        self.data = data
        self.model_name = model_name
        self.reference = reference
        self.policy = policy_of(policy)
        self.window_end = window_end
        self.mlflow_conn_id = mlflow_conn_id
        self.experiment_name = drift_experiment(experiment_name, model_name)
        if deferrable and isinstance(data, SqlQuery):
            raise InputError(_FILES_ONLY.format("SqlQuery"))
        self.deferrable = deferrable
        self.outlet = None if model_name is None else model_outlet(model_name)
        if self.outlet is not None:
            self.outlets = [*self.outlets, self.outlet]

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        with airflow_errors():
            result = self._look(context)
        return PokeReturnValue(is_done=result is not None, xcom_value=result)

    def execute(self, context: Context) -> Any:
        """Look, and wait as long as there is no drift."""
        if not self.deferrable:
            return super().execute(context)
        try:
            return self._look_or_defer(context, until=time.time() + self.timeout)
        except AirflowException as error:
            # As Airflow itself does when the task comes back.
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping, as soft_fail or never_fail says: {error}") from error
            raise

    def execute_complete(self, context: Context, event: Mapping[str, Any], until: float | None = None) -> Any:
        """Look again: the files have changed."""
        self.log.info("The data changed (%s)", event["state"][:12])
        # dag.test() hands on the event alone; then the time-out starts anew.
        return self._look_or_defer(context, until=time.time() + self.timeout if until is None else until)

    def _look_or_defer(self, context: Context, *, until: float) -> Any:
        from airflow_mlops_provider.triggers.new_data import NewDataTrigger, state_of

        with airflow_errors():
            paths = _paths(self.data)
            # Taken before the look: what changes meanwhile is looked at again.
            seen = state_of(paths, airflow_access())
            result = self._look(context)
        if result is not None:
            return result
        left = until - time.time()
        if left <= 0:
            raise AirflowSensorTimeout(f"No drift within the timeout of {self.timeout:g} seconds.")
        self.defer(
            trigger=NewDataTrigger(paths=paths, seen=seen, poll_interval_seconds=self.poke_interval),
            method_name="execute_complete",
            kwargs={"until": until},
            # The time-out is of all looks together.
            timeout=timedelta(seconds=left),
        )
        return None

    def _look(self, context: Context) -> dict[str, Any] | None:
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
        return {"passed": False, **result}


_FILES_ONLY = (
    "A deferrable drift sensor watches files; got {}. Hint: leave deferrable out to look at a query again and again."
)


def _paths(data: Any) -> list[str]:
    """Return the files to watch, as absolute paths: the triggerer's working directory is another."""
    given = data if isinstance(data, list | tuple) else [data]
    paths: list[str] = []
    for one in given:
        path = getattr(one, "uri", one)
        if not isinstance(path, str | os.PathLike):
            raise InputError(_FILES_ONLY.format(type(one).__name__))
        text = os.fspath(path)
        paths.append(text if "://" in text else os.path.abspath(os.path.expanduser(text)))
    return paths
