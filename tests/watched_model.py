"""A registered model without files, whose champion is watched: what a decision to retrain reads, made in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlops_provider.core.ledger_entry import Draft, Entry
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.registry.ledger import enter
from airflow_mlops_provider.registry.monitoring import Window, monitoring_experiment, window_tags
from airflow_mlops_provider.registry.presence import reference
from airflow_mlops_provider.registry.retraining import Answer, Asking, ask
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry

BY = {"dag_id": "train", "run_id": "r1", "task_id": "promote"}
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass
class WatchedModel:
    """The model, and short words for what happens to it."""

    registry: Registry
    name: str

    def promote(self, at: str = "2026-01-01T00:00:00+00:00") -> str:
        """Make a new version champion and return its training run."""
        client = self.registry.client
        if not client.search_registered_models(filter_string=f"name = '{self.name}'"):
            client.create_registered_model(self.name)
        run_id = client.create_run(self.registry.experiment_id(f"training {self.name}")).info.run_id
        version = client.create_model_version(self.name, source="s3://models/none", run_id=run_id).version
        self.enter("promote", at=at, subject=reference(self.registry, self.name, str(version)))
        return str(run_id)

    def enter(self, kind: Any, *, at: str = "2026-01-01T00:00:00+00:00", subject: Any = None, op: str = "") -> None:
        draft = Draft(kind=kind, by=BY, at=at, subject=subject)
        op = op or f"{kind} {at} {subject}"
        enter(self.registry, self.name, op=op, decide=lambda _: draft, by=BY, now=at)

    def check(
        self, kind: Any, end: str, verdict: str, *, of: str, rows: float | None = None, experiment: str = ""
    ) -> str:
        """Record a check as its operator does, and return its MLflow run."""
        with logged_run(
            self.registry,
            experiment_name=experiment or monitoring_experiment(self.name),
            run_name=f"{kind} to {end}",
            tags=window_tags(check=kind, window=Window.parse(end), reference=of, verdict=verdict),
        ) as run:
            if rows is not None:
                run.log_metrics({"labelled_rows": rows})
        return run.run_id


def running(entries: Sequence[Entry]) -> dict[str, str]:
    """Say that each training that was asked for is under way."""
    return {str(one.details["run_id"]): "running" for one in entries}


def asked(model: WatchedModel, *, now: datetime = NOW, op: str = "op", states: Any = running, **rest: Any) -> Answer:
    """Ask whether to retrain it, as a monitor's task of the key `op` does."""
    asking = Asking(
        model_name=model.name,
        policy=rest.pop("policy", RetrainPolicy()),
        now=now,
        by=BY,
        op=op,
        namespace="",
        dag_id=rest.pop("dag_id", "t"),
    )
    return ask(model.registry, asking, run_states=states, **rest)
