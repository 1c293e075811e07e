"""Waits for a version of a model on behalf of a deferred task; it only looks, and keeps nothing but its arguments.

The triggerer may run the same trigger twice and restart it at any time. What an error means for the task is said in
the event, because a trigger that raises is taken for one that may be tried again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.model_watch import ModelWatch


class ModelVersionTrigger(BaseTrigger):
    """Fires when an alias points at a version, or a version exists, that is new enough.

    Parameters
    ----------
    model_name : str
        Registered model; it need not exist yet.
    alias : str or None
        The version under this alias; None means the newest one.
    min_version : int
        The lowest version number that will do, from 1.
    mlflow_conn_id : str, default "mlflow_default"
        Connection of type ``mlflow``, which the triggerer looks up by itself.
    poll_interval_seconds : float
        Time before the first look and between two, above 0, give or take a tenth. While MLflow does not answer, it
        doubles up to five minutes.

    Notes
    -----
    Event: ``{"status": "found", "version": "3"}``, or ``{"status": "error", "message": …}`` when waiting on is of no
    use: the connection is missing, the server refuses the account.
    """

    def __init__(
        self,
        *,
        model_name: str,
        alias: str | None = None,
        min_version: int = 1,
        mlflow_conn_id: str = "mlflow_default",
        poll_interval_seconds: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no annotations
        self.model_name = model_name
        self.alias = alias
        self.min_version = min_version
        self.mlflow_conn_id = mlflow_conn_id
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger anew; credentials are not part of it."""
        return (
            "airflow_mlops_provider.triggers.model_version.ModelVersionTrigger",
            {
                "model_name": self.model_name,
                "alias": self.alias,
                "min_version": self.min_version,
                "mlflow_conn_id": self.mlflow_conn_id,
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the version is there, then say so once."""
        watch = ModelWatch(
            mlflow_conn_id=self.mlflow_conn_id,
            model_name=self.model_name,
            alias=self.alias,
            poll_interval_seconds=self.poll_interval_seconds,
            log=self.log,
        )
        event: dict[str, Any] | None = None
        while event is None:
            # Before the first look, too: the worker has just looked, and after a restart all triggers begin together.
            await watch.pause()
            try:
                found = await watch.look()
            except InputError as error:
                event = {"status": "error", "message": str(error)}
            else:
                if found is not None and int(found.version) >= self.min_version:
                    event = {"status": "found", "version": found.version}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # nor has the event
