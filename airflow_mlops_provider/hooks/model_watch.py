"""Watching a model from a triggerer: a look at a time, patient with outages, and the connection never leaves here."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.core.model_watch import pause_seconds
from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import TrackingServer
    from airflow_mlops_provider.registry.versions import Version


class ModelWatch:
    """Looks at one model again and again.

    Parameters
    ----------
    mlflow_conn_id, model_name : str
        What to look at.
    alias : str or None
        The version under it, or the newest one.
    poll_interval_seconds : float
        Between two looks.
    log : logger
        Told when MLflow stops answering and when it answers again, once each.
    """

    def __init__(
        self, *, mlflow_conn_id: str, model_name: str, alias: str | None, poll_interval_seconds: float, log: Any
    ) -> None:
        self.mlflow_conn_id = mlflow_conn_id
        self.model_name = model_name
        self.alias = alias
        self.poll_interval_seconds = poll_interval_seconds
        self.log = log
        self._failures = 0
        self._server: TrackingServer | None = None

    async def pause(self, *, failures: int | None = None) -> None:
        """Let the time between two looks pass; longer when MLflow did not answer."""
        count = self._failures if failures is None else failures
        luck = random.random()  # noqa: S311 - it spreads load and guards nothing
        await asyncio.sleep(pause_seconds(interval=self.poll_interval_seconds, failures=count, luck=luck))

    async def look(self) -> Version | None:
        """Return the version that is there, however long it takes until MLflow answers.

        Raises
        ------
        InputError
            It never will as things are: the connection is missing or wrong, or the account may not look.
        """
        while True:
            try:
                found = await self._ask()
            except OutageError as error:
                self._failures += 1
                if self._failures == 1:
                    self.log.warning("%s Asking again until it answers.", error)
                await self.pause()
            else:
                if self._failures:
                    self.log.info("MLflow answers again, after %d looks without an answer", self._failures)
                self._failures = 0
                return found

    async def _ask(self) -> Version | None:
        from airflow_mlops_provider.registry.rest import find_version

        # The connection is read again after any trouble, because that may be why: a new password, another host.
        server, self._server = self._server, None
        if server is None:
            server = await MlflowHook(self.mlflow_conn_id).aget_server()
        found = await find_version(server, self.model_name, self.alias)
        self._server = server
        return found
