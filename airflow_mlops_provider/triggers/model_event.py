"""Turns what happens to a model in MLflow into asset events, so that DAGs start on it, whoever did it.

A promotion by this package announces itself; a person in the MLflow UI, or a program that knows nothing of Airflow,
does not. This trigger notices both, by looking. It changes nothing, and what a DAG then does is not its part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.model_watch import Sighting, is_news
from airflow_mlops_provider.core.names import check_alias, check_model_name
from airflow_mlops_provider.hooks.airflow_versions import asset_state_store
from airflow_mlops_provider.hooks.model_watch import ModelWatch

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.versions import Version

# Refusals are asked about again this seldom: a person has to do something first.
FAILURES_OF_A_REFUSAL = 10


class ModelEventTrigger(BaseEventTrigger):
    """Fires whenever an alias of a model moves, or a model gets a new version; for an ``AssetWatcher``.

    Parameters
    ----------
    model_name : str
        Registered model; it need not exist yet.
    alias : str or None
        The alias to watch, such as ``champion``; None watches for new versions.
    mlflow_conn_id : str, default "mlflow_default"
        Connection of type ``mlflow``, which the triggerer looks up by itself.
    poll_interval_seconds : float, default 60
        Between two looks, above 0, give or take a tenth. What happens and is undone in between is not seen.

    Raises
    ------
    InputError
        The model or alias has no possible name, or the interval is not above 0.

    Notes
    -----
    Payload: ``event`` ("alias_moved" or "new_version"), ``model_name``, ``alias``, ``version``, ``previous_version``,
    ``run_id``, ``created_at`` (of the version, ISO 8601 in UTC) and ``key``. Consumers find it in the asset event's
    ``extra["payload"]``. The first look of all announces nothing. Later ones announce what is new since the last
    announcement; from Airflow 3.3 on this is remembered with the asset, so that what happened while no triggerer ran is
    not lost. An event may come twice, after a restart or from two triggerers: ``key`` is then the same.

    Give the watcher an asset of its own: on ``mlflow://models/<name>@champion``, where promotions announce themselves,
    a promotion would be announced twice.

    Without a server, the embedded store is read by MLflow's own client in a thread; loading it holds the triggerer up
    for about a second, once. On a team's triggerer there is a server, and nothing of the kind.
    """

    def __init__(
        self,
        *,
        model_name: str,
        alias: str | None = None,
        mlflow_conn_id: str = "mlflow_default",
        poll_interval_seconds: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no annotations
        check_model_name(model_name)
        if alias is not None:
            check_alias(alias)
        if not poll_interval_seconds > 0:
            raise InputError(f"poll_interval_seconds must be above 0; got {poll_interval_seconds!r}.")
        self.model_name = model_name
        self.alias = alias
        self.mlflow_conn_id = mlflow_conn_id
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what identifies this trigger; the same arguments always give the same."""
        return (
            "airflow_mlops_provider.triggers.model_event.ModelEventTrigger",
            {
                "model_name": self.model_name,
                "alias": self.alias,
                "mlflow_conn_id": self.mlflow_conn_id,
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for as long as the watcher exists, and announce what is new."""
        watch = ModelWatch(
            mlflow_conn_id=self.mlflow_conn_id,
            model_name=self.model_name,
            alias=self.alias,
            poll_interval_seconds=self.poll_interval_seconds,
            log=self.log,
        )
        known = stored = await self._recall()
        refused: str | None = None
        while True:
            try:
                found = await watch.look()
            except InputError as error:
                if str(error) != refused:
                    refused = str(error)
                    self.log.error("Model %r cannot be watched: %s Asking again now and then.", self.model_name, error)
                await watch.pause(failures=FAILURES_OF_A_REFUSAL)
                continue
            refused = None
            if known != stored and known is not None:
                # A look later than the event, so that Airflow has it: rather twice than never.
                await self._remember(known)
                stored = known
            seen = Sighting() if found is None else Sighting(version=found.version, created_ms=found.created_ms)
            if known is None:
                known = stored = seen
                await self._remember(seen)
            elif found is not None and is_news(known, seen, alias=self.alias):
                yield TriggerEvent(self._payload(found, known))  # type: ignore[no-untyped-call]  # nor has the event
                known = seen
            await watch.pause()

    def _payload(self, found: Version, known: Sighting) -> dict[str, Any]:
        return {
            "event": "new_version" if self.alias is None else "alias_moved",
            "key": f"{self._name}:{known.version or 0}-{found.version}:{found.created_ms}",
            "model_name": self.model_name,
            "alias": self.alias,
            "version": found.version,
            "previous_version": known.version,
            "run_id": found.run_id,
            "created_at": datetime.fromtimestamp(found.created_ms / 1000, UTC).isoformat(timespec="seconds"),
        }

    @property
    def _name(self) -> str:
        return self.model_name if self.alias is None else f"{self.model_name}@{self.alias}"

    async def _recall(self) -> Sighting | None:
        """Return what was announced last, as far as Airflow remembers it."""
        store = asset_state_store(self)
        if store is None:
            return None
        try:
            value = await store.aget(f"mlops.model_event.{self._name}")
            return None if value is None else Sighting(version=value["version"], created_ms=value["created_ms"])
        except Exception as error:
            # A watcher of several assets, a store that is away, or a value that is not ours.
            self.log.warning("What was announced last is not known (%s): beginning anew.", type(error).__name__)
            return None

    async def _remember(self, known: Sighting) -> None:
        store = asset_state_store(self)
        if store is None:
            return
        try:
            value = {"version": known.version, "created_ms": known.created_ms}
            await store.aset(f"mlops.model_event.{self._name}", value)
        except Exception as error:
            self.log.warning("What was announced is not remembered over a restart (%s).", type(error).__name__)
