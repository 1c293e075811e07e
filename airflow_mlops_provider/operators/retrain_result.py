"""What the retraining operator hands on: a decision, or a request, as plain JSON values; decides and logs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_mlops_provider.core.ledger_entry import Entry
    from airflow_mlops_provider.registry.retraining import Answer


def result_of(answer: Answer, *, model_name: str, dag_id: str) -> dict[str, Any]:
    """Return the result of asking."""
    decision, entry, champion = answer.decision, answer.entry, answer.history.champion
    if entry is not None and decision.retrain:
        return result_of_request(entry, model_name=model_name)
    return {
        "passed": True,
        "retrain": False,
        "reasons": list(decision.reasons),
        "suppressed_by": list(decision.suppressed_by),
        "notes": list(decision.notes),
        "next_possible_at": decision.next_possible_at.isoformat(timespec="seconds"),
        "model_name": model_name,
        "champion_version": None if champion is None else champion.version,
        "window_end": None if decision.window_end is None else decision.window_end.isoformat(timespec="seconds"),
        "trigger_dag_id": dag_id,
        "trigger_run_id": None,
        "ledger_entry": None if entry is None else entry.number,
        "outcome": None,
    }


def result_of_request(entry: Entry, *, model_name: str) -> dict[str, Any]:
    """Return the result of a request, the same for the try that entered it and for those after it."""
    return {
        "passed": True,
        "retrain": True,
        "reasons": [entry.reason],
        "suppressed_by": [],
        "notes": list(entry.details["notes"]),
        "next_possible_at": entry.at,
        "model_name": model_name,
        "champion_version": None if entry.previous is None else entry.previous.version,
        "window_end": entry.details["window_end"],
        "trigger_dag_id": entry.details["dag_id"],
        "trigger_run_id": entry.details["run_id"],
        "ledger_entry": entry.number,
        "outcome": None,
    }
