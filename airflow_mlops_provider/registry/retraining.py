"""Entering decisions to retrain into a model's ledger, each once, whoever comes to the same one and however often.

A request's key is made of the model, its champion's epoch, the latest evidence and the attempt; so is the id of the
training run that it asks for. A suppression's key holds its first reason instead, so that a storm of alarms leaves one
entry for each reason and window. Of tasks that ask at the same moment one makes the entry; each of the others leaves a
mark beside the ledger that the entry answers it, too. Nothing here starts a training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import Draft, Entry
from airflow_mlops_provider.core.op_key import derived_key
from airflow_mlops_provider.core.retrain import RetrainDecision, decide
from airflow_mlops_provider.core.retrain_alarms import Alarm
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.retrain_state import EARLIEST, RetrainState, requests_of
from airflow_mlops_provider.registry.checks import read_checks
from airflow_mlops_provider.registry.ledger import enter, read_history, settle
from airflow_mlops_provider.registry.ledger_store import leave_mark, read_mark

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry

# Requests whose runs are asked for; each failure doubles the wait, so more of one epoch are a year's.
MAX_RUNS_TO_LOOK_AT = 10
# Evidence named in an entry, which has room for 6,000 characters.
MAX_RUN_IDS = 10
MAX_ROUNDS = 10
RunStates = Callable[[Sequence[Entry]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks for a decision, and by which rules.

    Parameters
    ----------
    model_name : str
        Which model.
    policy : RetrainPolicy
        The rules.
    now : datetime
        When, with a zone.
    by : mapping of str to str
        DAG, run and task, for the record.
    op : str
        Key of the asking task, by which its next try finds the request that this one entered or shares.
    namespace, dag_id : str
        The Airflow deployment, and its training DAG.
    """

    model_name: str
    policy: RetrainPolicy
    now: datetime
    by: Mapping[str, str]
    op: str
    namespace: str
    dag_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking.

    Parameters
    ----------
    decision : RetrainDecision
        What was decided.
    entry : Entry or None
        The entry of it; None when there was no reason to retrain.
    state : RetrainState
        What it was decided from.
    history : History
        The ledger as it was decided from.
    """

    decision: RetrainDecision
    entry: Entry | None
    state: RetrainState
    history: History


def ask(
    registry: Registry,
    asking: Asking,
    *,
    run_states: RunStates,
    check_run_ids: Sequence[str] = (),
    new_rows: int | None = None,
    target_paused: bool = False,
) -> Answer:
    """Decide whether to retrain, from the champion's checks and the ledger, and enter the decision.

    Parameters
    ----------
    registry : Registry
        An open session.
    asking : Asking
        Who asks.
    run_states : callable
        Given entries of requests, returns the state of each training run that it knows, by run id.
    check_run_ids : sequence of str
        See :func:`airflow_mlops_provider.registry.checks.read_checks`.
    new_rows, target_paused
        See :class:`airflow_mlops_provider.core.retrain_state.RetrainState`.

    Raises
    ------
    InputError
        There is no champion, or nothing is known of its training.
    """
    stamp = asking.now.astimezone(UTC).isoformat(timespec="seconds")
    for _ in range(MAX_ROUNDS):
        history = settle(registry, asking.model_name, by=asking.by, now=stamp).history
        head = history.head
        if head is None or head.subject is None:
            raise InputError(
                f"Model {asking.model_name!r} has no champion at {registry.server.uri}, so there is nothing to "
                "retrain. Hint: train and promote a first version."
            )
        if head.subject.run_id is None:
            raise InputError(
                f"Champion version {head.subject.version} of model {asking.model_name!r} has no training run, so no "
                "check can be of it. Hint: train it with TrainModelOperator or @task.train_model."
            )
        checks = read_checks(registry, asking.model_name, reference=head.subject.run_id, run_ids=check_run_ids)
        states = run_states(request_entries(history)[-MAX_RUNS_TO_LOOK_AT:])
        state = RetrainState(
            epoch=head.number,
            trained_at=datetime.fromtimestamp(head.subject.created_ms / 1000, UTC),
            checks=checks,
            requests=requests_of(history, states),
            new_rows=new_rows,
            target_paused=target_paused,
        )
        decision = decide(state=state, policy=asking.policy, now=asking.now)
        answer = Answer(decision=decision, entry=None, state=state, history=history)
        if not decision.alarms:
            return answer
        entry = _enter(registry, asking, answer, states, stamp)
        if entry is not None:
            if decision.retrain and entry.details.get("task_op") != asking.op:
                # Somebody else was faster. By then the evidence is answered, so a later try would not ask any more.
                leave_mark(registry, asking.model_name, asking.op, str(entry.number))
            return Answer(decision=decision, entry=entry, state=state, history=history)
        # Somebody else entered something meanwhile that changes the decision.
    raise OutageError(f"The ledger of model {asking.model_name!r} was too busy: {MAX_ROUNDS} decisions were outdated.")


def request_entries(history: History) -> list[Entry]:
    """Return the requests of a ledger, oldest first."""
    return [one for one in history.entries if one.kind == "retrain_requested"]


def find_request(registry: Registry, model_name: str, op: str) -> Entry | None:
    """Return the request that an earlier try of a task entered, or shares with the task that was faster."""
    requests = request_entries(read_history(registry, model_name))
    mine = next((one for one in requests if one.details.get("task_op") == op), None)
    if mine is not None or not requests:
        return mine
    number = read_mark(registry, model_name, op)
    return next((one for one in requests if str(one.number) == number), None)


def _enter(registry: Registry, asking: Asking, answer: Answer, states: Mapping[str, str], stamp: str) -> Entry | None:
    decision, epoch = answer.decision, answer.state.epoch
    draft, op = _draft(asking, decision, epoch, stamp)

    def still(history: History) -> Draft | None:
        if not decision.retrain or history.tip == answer.history.tip:
            return draft
        head = history.head
        if head is None or head.number != epoch:
            return None
        state = RetrainState(
            epoch=epoch,
            trained_at=answer.state.trained_at,
            checks=answer.state.checks,
            requests=requests_of(history, states),
            new_rows=answer.state.new_rows,
            target_paused=answer.state.target_paused,
        )
        return draft if decide(state=state, policy=asking.policy, now=asking.now) == decision else None

    return enter(registry, asking.model_name, op=op, decide=still, by=asking.by, now=stamp)


def _draft(asking: Asking, decision: RetrainDecision, epoch: int, stamp: str) -> tuple[Draft, str]:
    window = "" if decision.window_end is None else decision.window_end.astimezone(UTC).isoformat(timespec="seconds")
    details: dict[str, Any] = {
        "epoch": epoch,
        "window_end": window,
        "evidence": [_evidence(one) for one in decision.alarms],
        "task_op": asking.op,
    }
    reason = "; ".join(decision.reasons)
    if not decision.retrain:
        held = decision.suppressed_by[0]
        op = derived_key("retrain_suppressed", asking.model_name, epoch, window, held)
        details |= {"suppressed_by": list(decision.suppressed_by)}
        draft = Draft(kind="retrain_suppressed", by=asking.by, at=stamp, reason=f"{held}: {reason}", details=details)
        return draft, op
    op = derived_key("retrain_requested", asking.model_name, epoch, window, decision.attempt)
    details |= {
        "attempt": decision.attempt,
        "notes": list(decision.notes),
        "new_rows": decision.new_rows,
        "namespace": asking.namespace,
        "dag_id": asking.dag_id,
        "run_id": training_run_id(asking.model_name, window, op),
    }
    return Draft(kind="retrain_requested", by=asking.by, at=stamp, reason=reason, details=details), op


def training_run_id(model_name: str, window: str, op: str) -> str:
    """Return the id of the training run that a request asks for; the same for everybody who comes to that request.

    Examples
    --------
    >>> training_run_id("churn EU", "2026-03-01T00:00:00+00:00", "982024f1f2edb074")
    'retrain__churn_EU__20260301T000000__982024f1f2ed'
    """
    name = re.sub(r"[^A-Za-z0-9_.~-]", "_", model_name)[:100]
    return f"retrain__{name}__{re.sub('[-:]', '', window)[:15]}__{op[:12]}"


def _evidence(alarm: Alarm) -> dict[str, Any]:
    return {
        "cause": alarm.cause,
        "window_end": alarm.window_end.isoformat(timespec="seconds"),
        "since": None if alarm.since == EARLIEST else alarm.since.isoformat(timespec="seconds"),
        "run_ids": list(alarm.run_ids[-MAX_RUN_IDS:]),
    }
