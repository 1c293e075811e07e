from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import Draft, VersionRef
from airflow_mlops_provider.core.retrain_state import requests_of

AT = "2026-03-01T00:00:00+00:00"


def ledger(*kinds: str, **details: Any) -> History:
    """Return a ledger of these entries; the n-th request asks for run-n, on the evidence of a window to day n."""
    history, asked = History(), 0
    for kind in kinds:
        given: dict[str, Any] = {}
        if kind == "retrain_requested":
            asked += 1
            given = {
                "epoch": 1,
                "run_id": f"run-{asked}",
                "window_end": f"2026-02-{asked:02}T00:00:00+00:00",
                **details,
            }
        subject = VersionRef(version="1", created_ms=1)
        draft = Draft(kind=kind, by={}, at=AT, subject=subject, details=given)
        entry = history.next_entry(draft, op=f"op-{len(history.entries)}")
        history = History(entries=(*history.entries, entry), tip="")
    return history


@pytest.mark.parametrize(
    ("after", "state", "outcome"),
    [
        ((), "queued", "in_flight"),
        ((), "running", "in_flight"),
        (("reject",), "running", "in_flight"),
        (("reject",), "success", "rejected"),
        (("reject",), None, "rejected"),
        (("promote",), "success", "promoted"),
        # The challenger was promoted and a task after that failed: the retraining reached its end.
        (("promote",), "failed", "promoted"),
        ((), "failed", "failed"),
        ((), "missing", "missing"),
        ((), "success", "finished"),
        (("retrain_suppressed",), None, "unknown"),
    ],
)
def test_what_became_of_a_request_is_read_from_its_run_and_the_entries_after_it(
    after: tuple[str, ...], state: str | None, outcome: str
) -> None:
    history = ledger("promote", "retrain_requested", *after)
    found = requests_of(history, {} if state is None else {"run-1": state})
    assert [one.outcome for one in found] == [outcome]


def test_an_entry_counts_for_the_request_before_it_only() -> None:
    history = ledger("promote", "retrain_requested", "reject", "retrain_requested")
    found = requests_of(history, {"run-1": "success", "run-2": "success"})
    assert [(one.number, one.outcome) for one in found] == [(2, "rejected"), (4, "finished")]
    assert found[1].window_end == datetime(2026, 2, 2, tzinfo=UTC)
    assert found[1].at == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"epoch": None}, "lacks the champion's epoch"),
        ({"epoch": True}, "lacks the champion's epoch"),
        ({"window_end": "yesterday"}, "has the time 'yesterday'"),
        ({"window_end": "2026-02-01T00:00:00"}, "time with a zone"),
    ],
)
def test_an_entry_that_was_not_written_by_this_package_is_refused(details: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        requests_of(ledger("promote", "retrain_requested", **details), {})
