"""Airflow's REST API as a person with a token uses it: what the system tests know of DAGs, runs and tasks."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

SECONDS_BETWEEN_LOOKS = 1.0


class RunError(AssertionError):
    """A run ended otherwise than expected; says which tasks did, and the end of their logs."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A DAG run that has ended."""

    dag_id: str
    run_id: str
    state: str
    seconds: float
    states: dict[str, str]
    tries: dict[str, int]


ENDED: list[Run] = []


@dataclass
class AirflowApi:
    """The REST API at `url`, with the login of a user."""

    url: str
    password: str
    user: str = "admin"
    _session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, *, ok: tuple[int, ...] = (200, 201), **arguments: Any) -> Any:
        """Return the answer's JSON; logs in when the token is missing or has expired."""
        for _ in range(2):
            answer = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=60, **arguments)
            if answer.status_code != requests.codes.unauthorized:
                break
            self._log_in()
        if answer.status_code not in ok:
            raise RunError(f"{method} {path} answered {answer.status_code}: {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def _log_in(self) -> None:
        login = {"username": self.user, "password": self.password}
        answer = self._session.post(f"{self.url}/auth/token", json=login, timeout=60)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def wait_for_dags(self, *dag_ids: str, seconds: float = 240) -> None:
        """Return when the DAG processor has found them; unpauses them."""
        deadline = time.monotonic() + seconds
        missing = set(dag_ids)
        while missing and time.monotonic() < deadline:
            found = {dag["dag_id"] for dag in self.call("GET", "dags", params={"limit": 100})["dags"]}
            for dag_id in missing & found:
                self.call("PATCH", f"dags/{dag_id}", json={"is_paused": False})
            missing -= found
            time.sleep(SECONDS_BETWEEN_LOOKS)
        errors = self.call("GET", "importErrors")["import_errors"]
        if missing or errors:
            raise RunError(f"DAGs not found: {sorted(missing)}; import errors: {json.dumps(errors, indent=1)}")

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run as the button in the UI does."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self.call("POST", f"dags/{dag_id}/dagRuns", json=body)
        return run_id

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return what is known of the runs of a DAG, the oldest first."""
        found: list[dict[str, Any]] = self.call(
            "GET", f"dags/{dag_id}/dagRuns", params={"limit": 500, "order_by": "run_after"}
        )["dag_runs"]
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(found)})
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the state a task is in now."""
        return next((str(one["state"]) for one in self.tasks(dag_id, run_id) if one["task_id"] == task_id), "None")

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task pushed."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params={"deserialize": "true"})["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> str:
        """Return the log of one try, as text."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        content = self.call("GET", path, params={"full_content": "true"}).get("content") or []
        return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in content)

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, state: str, *, seconds: float = 300) -> None:
        """Return when a task is in a state."""
        deadline = time.monotonic() + seconds
        seen = ""
        while time.monotonic() < deadline:
            seen = self.task_state(dag_id, run_id, task_id)
            if seen == state:
                return
            time.sleep(0.3)
        raise RunError(f"{dag_id}.{task_id} of {run_id} is {seen}, not {state}, after {seconds:.0f} s")

    def wait(self, dag_id: str, run_id: str, *, state: str = "success", seconds: float = 900) -> Run:
        """Return the run when it has ended; raise when it ended in another state."""
        deadline = time.monotonic() + seconds
        run: dict[str, Any] = {"state": None}
        while time.monotonic() < deadline:
            with suppress(requests.RequestException, RunError):  # Airflow itself may be down for a while
                run = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")
            if run["state"] in {"success", "failed"}:
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        outcome = self._outcome(run)
        ENDED.append(outcome)
        if outcome.state != state:
            raise RunError(f"{dag_id} {run_id} is {outcome.state}, not {state}: {outcome.states}\n{self._why(run)}")
        return outcome

    def _outcome(self, run: dict[str, Any]) -> Run:
        tasks = self.tasks(run["dag_id"], run["dag_run_id"])
        return Run(
            dag_id=run["dag_id"],
            run_id=run["dag_run_id"],
            state=run["state"],
            seconds=_seconds(run["start_date"], run["end_date"]),
            states={task["task_id"]: str(task["state"]) for task in tasks},
            tries={task["task_id"]: int(task["try_number"]) for task in tasks},
        )

    def _why(self, run: dict[str, Any]) -> str:
        parts = []
        for task in self.tasks(run["dag_id"], run["dag_run_id"]):
            if task["state"] not in {"success", "skipped", "upstream_failed", None}:
                log = self.log(run["dag_id"], run["dag_run_id"], task["task_id"], task["try_number"])
                parts.append(f"--- {task['task_id']}, try {task['try_number']}\n{log[-4000:]}")
        return "\n".join(parts)


def _seconds(start: str | None, end: str | None) -> float:
    if start is None or end is None:
        return float("nan")
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
