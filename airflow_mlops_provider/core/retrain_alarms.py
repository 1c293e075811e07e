"""What speaks for retraining: reasons found in the checks of a champion and in its age; holds nothing back.

The rules are about what may be believed. Labels say how a model did; an estimate says how it probably did, where labels
are missing; drift says that its data changed, which may do no harm at all. So each is listened to only where the ones
before it are silent, unless a policy wants otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Literal

from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.retrain_state import EARLIEST, Check, CheckKind, Request, RetrainState

Cause = Literal["performance", "estimate", "drift", "age", "schedule", "follow_up"]
# After which a follow-up makes sense: those of a change in the data.
OF_A_CHANGE = frozenset({"performance", "estimate", "drift"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One reason to retrain.

    Parameters
    ----------
    cause : {"performance", "estimate", "drift", "age", "schedule", "follow_up"}
        Which rule.
    window_end : datetime
        The latest evidence: end of a window, or when the rule became due.
    since : datetime
        End of the first window of the evidence; labelled rows from there on are worth learning from.
    reason : str
        A sentence for people.
    run_ids : tuple of str
        MLflow runs of the checks behind it.
    """

    cause: Cause
    window_end: datetime
    since: datetime
    reason: str
    run_ids: tuple[str, ...] = ()


def find_alarms(
    state: RetrainState,
    checks: Sequence[Check],
    policy: RetrainPolicy,
    *,
    now: datetime,
    answers: Sequence[Request],
) -> tuple[Alarm, ...]:
    """Return all reasons to retrain, whether or not an earlier request answered them.

    Parameters
    ----------
    state : RetrainState
        For the champion's age.
    checks : sequence of Check
        Those that count.
    policy : RetrainPolicy
        Which reasons there are.
    now : datetime
        For age and schedule.
    answers : sequence of Request
        Those that got a training, in order.
    """
    answered_at = max((one.at for one in answers), default=EARLIEST)
    answered_in_epoch_at = max((one.at for one in answers if one.epoch == state.epoch), default=EARLIEST)
    performance = _decided(checks, "performance")
    estimate = [one for one in _decided(checks, "estimate") if not performance or one.window_end > _last(performance)]
    # Of a window that labels or an estimate judged it is known whether its drift hurts.
    judged_to = max((_last(one) for one in (performance, estimate) if one), default=EARLIEST)
    drift = _decided(checks, "drift")
    found = [
        _loss("performance", performance, "labels show a drop") if policy.on_performance_drop else None,
        _suspicion(performance, drift) if policy.on_performance_drop and policy.on_drift == "confirmed" else None,
        _loss("estimate", estimate, "the estimate shows a drop") if policy.on_estimated_drop else None,
        _drift(drift, policy, judged_to),
        _age(state, policy, now, answered_in_epoch_at),
        _schedule(state, policy, now, answered_at),
        _follow_up(state, performance, policy, answers),
    ]
    return tuple(one for one in found if one is not None)


def _decided(checks: Iterable[Check], kind: CheckKind) -> list[Check]:
    return sorted((one for one in checks if one.kind == kind and one.decided), key=lambda one: one.window_end)


def _last(checks: Sequence[Check]) -> datetime:
    return checks[-1].window_end


def _running(checks: Sequence[Check]) -> list[Check]:
    """Return the bad windows at the end, oldest first."""
    return list(takewhile(lambda one: one.bad, reversed(checks)))[::-1]


def _loss(cause: Literal["performance", "estimate"], checks: Sequence[Check], what: str) -> Alarm | None:
    bad = _running(checks)
    return _alarm(cause, bad, f"{what} {_span(bad)}") if bad else None


def _suspicion(performance: Sequence[Check], drift: Sequence[Check]) -> Alarm | None:
    """Return what two kinds of evidence say together of the latest window with labels, neither being enough alone."""
    if not performance or performance[-1].bad or not performance[-1].suspected:
        return None
    drifted = [one for one in drift if one.bad and one.window_end == performance[-1].window_end]
    if not drifted:
        return None
    why = f"labels make a drop probable {_span(performance[-1:])}, and its data drifted"
    return _alarm("performance", [*drifted, performance[-1]], why)


def _drift(checks: Sequence[Check], policy: RetrainPolicy, judged_to: datetime) -> Alarm | None:
    bad = _running(checks)
    if policy.on_drift == "never" or not bad:
        return None
    if policy.on_drift == "always":
        return _alarm("drift", bad, f"the data drifted {_span(bad)}")
    unjudged = [one for one in bad if one.window_end > judged_to]
    if len(unjudged) < policy.drift_windows:
        return None
    why = f"the data drifted {_span(unjudged)}, and neither labels nor an estimate say how the champion did"
    return _alarm("drift", unjudged, why)


def _alarm(cause: Cause, bad: Sequence[Check], reason: str) -> Alarm:
    return Alarm(
        cause=cause,
        window_end=_last(bad),
        since=bad[0].window_end,
        reason=reason,
        run_ids=tuple(one.run_id for one in bad if one.run_id),
    )


def _span(bad: Sequence[Check]) -> str:
    if len(bad) == 1:
        return f"in the window to {bad[0].window_end.isoformat()}"
    return f"in {len(bad)} windows running, to {_last(bad).isoformat()}"


def _age(state: RetrainState, policy: RetrainPolicy, now: datetime, answered_at: datetime) -> Alarm | None:
    if policy.max_age is None:
        return None
    due = max(state.trained_at, answered_at) + policy.max_age
    if now < due:
        return None
    reason = f"the champion is from {state.trained_at.isoformat()}, which is over {policy.max_age} ago"
    return Alarm(cause="age", window_end=due, since=EARLIEST, reason=reason)


def _schedule(state: RetrainState, policy: RetrainPolicy, now: datetime, answered_at: datetime) -> Alarm | None:
    tick = policy.last_tick(now)
    if tick is None or tick <= max(state.trained_at, answered_at):
        return None
    reason = f"its schedule {policy.schedule!r} came at {tick.isoformat()}"
    return Alarm(cause="schedule", window_end=tick, since=EARLIEST, reason=reason)


def _follow_up(
    state: RetrainState, performance: Sequence[Check], policy: RetrainPolicy, answers: Sequence[Request]
) -> Alarm | None:
    origin = answers[-1] if answers else None
    if not policy.follow_up or not performance or origin is None:
        return None
    # One of this champion's time was asked for by it, or had its own reasons; either way it is answered.
    if origin.outcome != "promoted" or origin.epoch == state.epoch or not OF_A_CHANGE.intersection(origin.causes):
        return None
    rows = new_rows(state, performance, since=EARLIEST, answered_to=EARLIEST) or 0
    if rows < max(origin.new_rows or 0, policy.min_new_rows):
        return None
    reason = f"{rows} labelled rows have come since the champion was trained, most of it on rows from before the change"
    return Alarm(cause="follow_up", window_end=_last(performance), since=EARLIEST, reason=reason)


def new_rows(state: RetrainState, checks: Iterable[Check], *, since: datetime, answered_to: datetime) -> int | None:
    """Return how many labelled rows are worth learning from; None when nobody counted.

    Windows may overlap: of those that share rows the later one counts, and of windows that take in all rows before
    their end, what the last has more than the one before the evidence.

    Parameters
    ----------
    state : RetrainState
        Whose caller may have counted.
    checks : iterable of Check
        Those of performance count.
    since, answered_to : datetime
        Windows from the one and after the other.
    """
    if state.new_rows is not None:
        return state.new_rows
    counted = sorted((one for one in checks if one.kind == "performance"), key=lambda one: one.window_end, reverse=True)
    if not counted:
        return None
    rows, edge = 0, None
    for one in counted:
        old = one.window_end < since or one.window_end <= answered_to
        if one.window_start == EARLIEST:
            # All rows up to here: a newer one holds them, and from an older one on they are not new.
            if old:
                return max(rows - (one.labelled_rows or 0), 0) if edge == EARLIEST else rows
            rows, edge = (rows, edge) if edge == EARLIEST else (rows + (one.labelled_rows or 0), EARLIEST)
        elif old:
            return rows
        elif edge is None or one.window_end <= edge:
            rows, edge = rows + (one.labelled_rows or 0), one.window_start or one.window_end
    return rows
