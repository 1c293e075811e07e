"""What the sensors of this package share: looking, waiting in one of Airflow's ways, and the time-out over all of it.

A sensor says how to look once and, for the deferrable way, which trigger knows when another look is worth it. The
trigger never decides: it wakes the task, and the task looks again, so that a trigger that fires twice or too early
does no harm.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSensorTimeout, AirflowSkipException
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.notifications.send import AlertTarget, send_alerts
from airflow_mlops_provider.operators.base import airflow_errors

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger


class WaitingSensor(BaseSensorOperator):
    """Base of the sensors.

    Parameters
    ----------
    deferrable : bool, default False
        Wait in the triggerer instead of on a worker.
    **kwargs
        Of Airflow's ``BaseSensorOperator``: ``poke_interval``, ``timeout``, ``soft_fail``, ``mode``…
    """

    # A path that ends like a template must stay a path.
    template_ext: Sequence[str] = ()
    ui_color = "#d7ecf5"

    def __init__(self, *, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    @abstractmethod
    def look(self, context: Context) -> dict[str, Any] | None:
        """Look once; return the XCom when there is no more to wait for, else None."""

    @abstractmethod
    def trigger(self) -> BaseTrigger:
        """Return what waits in the triggerer for what may change the outcome of a look that begins afterwards."""

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        with airflow_errors():
            result = self.look(context)
        return PokeReturnValue(is_done=result is not None, xcom_value=result)

    def execute(self, context: Context) -> Any:
        """Look, and wait as long as there is nothing."""
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
        """Look again: the trigger says that something changed, or that it cannot go on."""
        if event.get("status") == "error":
            raise InvalidInputError(event["message"])
        self.log.info("The trigger saw a change: looking again")
        # dag.test() hands on the event alone; then the time-out starts anew.
        return self._look_or_defer(context, until=time.time() + self.timeout if until is None else until)

    def bad_verdict(
        self, context: Context, result: Mapping[str, Any], *, alerts: Sequence[AlertTarget], mlflow_conn_id: str
    ) -> dict[str, Any]:
        """Tell of the bad verdict that ends the wait, and return the XCom; it fails no task."""
        result = {"passed": False, **result}
        failed = send_alerts(
            alerts, context=context, verdict=result, severity="warning", mlflow_conn_id=mlflow_conn_id, log=self.log
        )
        return {**result, "alerts_failed": failed} if failed else result

    def _look_or_defer(self, context: Context, *, until: float) -> Any:
        with airflow_errors():
            # Made before the look: what changes meanwhile is looked at again.
            trigger = self.trigger()
            result = self.look(context)
        if result is not None:
            return result
        left = until - time.time()
        if left <= 0:
            raise AirflowSensorTimeout(f"Nothing came within the timeout of {self.timeout:g} seconds.")
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"until": until},
            # The time-out is of all looks together.
            timeout=timedelta(seconds=left),
        )
        return None
