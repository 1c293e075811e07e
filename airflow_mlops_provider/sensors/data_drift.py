"""The drift sensor: waits until the data behind a path have drifted away from what the champion knows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.links.mlflow import MlflowReportLink, MlflowRunLink
from airflow_mlops_provider.operators.base import airflow_errors
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, drift_experiment
from airflow_mlops_provider.operators.drift_check import DriftRequest, check_arguments, policy_of, run_check
from airflow_mlops_provider.operators.model_events import emit_drift, model_outlet
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context


class DataDriftSensor(BaseSensorOperator):
    """Wait until there is drift.

    Each look profiles the data, compares and records, as
    :class:`~airflow_mlops_provider.operators.detect_drift.DetectDriftOperator` does, whose parameters of the same
    names mean the same here. Too few rows mean waiting on. Deferrable, the task gives its slot back between two looks
    and comes back when the files have changed; the mathematics is done on the worker.

    Parameters
    ----------
    data, model_name, reference, policy, window_end, mlflow_conn_id, experiment_name
        See DetectDriftOperator. Templated but for the policy.
    deferrable : bool, default False
        Wait in the triggerer for changed files. `data` must then be paths.
    **kwargs
        Of Airflow's ``BaseSensorOperator``: ``poke_interval``, ``timeout``, ``soft_fail``, ``mode``…

    Notes
    -----
    XCom: as of DetectDriftOperator. The asset event is the same, too.
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
        self.deferrable = deferrable
        self.outlet = None if model_name is None else model_outlet(model_name)
        if self.outlet is not None:
            self.outlets = [*self.outlets, self.outlet]

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        with airflow_errors():
            result = self._look(context)
        return PokeReturnValue(is_done=result["verdict"] == "drift", xcom_value=result)

    def execute(self, context: Context) -> Any:
        """Look, and wait as long as there is no drift."""
        if not self.deferrable:
            return super().execute(context)
        return self._look_or_defer(context, until=time.time() + self._seconds(self.timeout))

    def execute_complete(self, context: Context, event: Mapping[str, Any], until: float) -> Any:
        """Look again: the files have changed."""
        self.log.info("The data changed (%s)", event["state"][:12])
        return self._look_or_defer(context, until=until)

    def _look_or_defer(self, context: Context, *, until: float) -> Any:
        from airflow_mlops_provider.triggers.new_data import NewDataTrigger, state_of

        with airflow_errors():
            paths = _paths(self.data)
            # Taken before the look: what changes meanwhile is looked at again.
            seen = state_of(paths)
            result = self._look(context)
        if result["verdict"] == "drift":
            return result
        self.defer(
            trigger=NewDataTrigger(paths=paths, seen=seen, poll_interval_seconds=self._seconds(self.poke_interval)),
            method_name="execute_complete",
            kwargs={"until": until},
            # The time-out is of all looks together.
            timeout=timedelta(seconds=max(until - time.time(), 1)),
        )
        return None

    def _look(self, context: Context) -> dict[str, Any]:
        request = DriftRequest(
            data=self.data,
            profile=None,
            model_name=self.model_name,
            reference=self.reference,
            policy=self.policy,
            window_end=str(self.window_end),
            mlflow_conn_id=self.mlflow_conn_id,
            experiment_name=self.experiment_name,
        )
        result = run_check(request, tags=context_tags(context, type(self).__name__), log=self.log)
        if result["verdict"] == "drift" and self.outlet is not None:
            emit_drift(context, self.outlet, result)
        return {"passed": result["verdict"] != "drift", **result}

    @staticmethod
    def _seconds(value: Any) -> float:
        return value.total_seconds() if isinstance(value, timedelta) else float(value)


def _paths(data: Any) -> list[str]:
    given = data if isinstance(data, list | tuple) else [data]
    paths: list[str] = []
    for one in given:
        path = getattr(one, "uri", one)
        if not isinstance(path, str | os.PathLike):
            raise InputError(
                f"A deferrable drift sensor watches files; got {type(one).__name__}. "
                "Hint: leave deferrable out to look at a query again and again."
            )
        paths.append(os.fspath(path))
    return paths
