"""Calls the notifiers of a task about a bad verdict; whatever happens to them, the verdict stands.

A notifier gets the task's context with ``verdict``, the task's result, and ``alert``, the ready message, so that one of
Airflow's own needs only ``"{{ alert.text }}"`` where it takes a text.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_mlops_provider.core.errors import MLOpsError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from airflow.sdk import Context

    from airflow_mlops_provider.core.streak import Streak
    from airflow_mlops_provider.notifications.alert import Alert, Severity

# A notifier of Airflow, or a function of the context; either may be asynchronous.
AlertTarget = BaseNotifier | Callable[[Any], Any]


def send_alerts(
    alerts: Sequence[AlertTarget],
    *,
    context: Context,
    verdict: Mapping[str, Any],
    severity: Severity,
    mlflow_conn_id: str,
    log: Any,
) -> list[str]:
    """Tell everybody, each once, and return who could not be told.

    Parameters
    ----------
    alerts : sequence of notifiers or functions
        Called in this order.
    context : Context
        Of the task; it is not changed.
    verdict : mapping
        The task's result.
    severity : {"error", "warning"}
        How bad it is for the task.
    mlflow_conn_id : str
        Where the earlier windows are recorded.
    log : logger
        Told about failures.

    Returns
    -------
    list of str
        Class or function names of the alerts that failed.
    """
    if not alerts:
        return []
    message = _message(context, verdict, severity=severity, mlflow_conn_id=mlflow_conn_id, log=log)
    failed: list[str] = []
    for alert in alerts:
        try:
            _call(alert, {**context, "verdict": verdict, "alert": message})
        except Exception:
            # A broken pager must not change what was decided.
            name = getattr(alert, "__name__", type(alert).__name__)
            log.exception("Alert %s failed; the verdict stands.", name)
            failed.append(name)
    return failed


def _call(alert: AlertTarget, context: dict[str, Any]) -> None:
    if isinstance(alert, BaseNotifier):
        # Rendering changes the notifier, which may serve other tasks of the DAG, too.
        alert = copy.copy(alert)
        if type(alert).notify is BaseNotifier.notify:
            alert.context = context  # type: ignore[assignment]  # Airflow's is a TypedDict
            asyncio.run(_awaited(alert))
            return
    answer = alert(context)
    if inspect.isawaitable(answer):
        asyncio.run(_awaited(answer))


async def _awaited(one: Awaitable[Any]) -> None:
    await one


def _message(
    context: Context, verdict: Mapping[str, Any], *, severity: Severity, mlflow_conn_id: str, log: Any
) -> Alert:
    from airflow_mlops_provider.notifications.alert import alert_of

    ti = context["ti"]
    return alert_of(
        verdict,
        severity=severity,
        streak=_streak(verdict, mlflow_conn_id, log),
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        airflow_url=getattr(ti, "log_url", None),
    )


def _streak(verdict: Mapping[str, Any], mlflow_conn_id: str, log: Any) -> Streak | None:
    """Return since when it is bad, or None where that cannot be told: an alert without it is better than none."""
    from airflow_mlops_provider.hooks.mlflow import MlflowHook

    run_id = verdict.get("run_id")
    if not isinstance(run_id, str) or "window_end" not in verdict:
        return None
    try:
        from airflow_mlops_provider.registry.streaks import streak_of

        with MlflowHook(mlflow_conn_id).open() as registry:
            return streak_of(registry, run_id)
    except MLOpsError as error:
        log.warning("Since when it is so could not be found: %s", error)
        return None
