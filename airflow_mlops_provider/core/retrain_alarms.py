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
from airflow_mlops_provider.core.retrain_state import EARLIEST, Check, CheckKind, RetrainState

Cause = Literal["performance", "estimate", "drift", "age", "schedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One reason to retrain.

    Parameters
    ----------
    cause : {"performance", "estimate", "drift", "age", "schedule"}
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
    answered_at: datetime,
    answered_in_epoch_at: datetime,
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
    answered_at, answered_in_epoch_at : datetime
        When somebody last asked and got a training; the same since the present champion serves.
    """
    performance = _decided(checks, "performance")
    estimate = [one for one in _decided(checks, "estimate") if not performance or one.window_end > _last(performance)]
    # Of a window that labels or an estimate judged it is known whether its drift hurts.
    judged_to = max((_last(one) for one in (performance, estimate) if one), default=EARLIEST)
    found = [
        _loss("performance", performance, "labels show a drop") if policy.on_performance_drop else None,
        _loss("estimate", estimate, "the estimate shows a drop") if policy.on_estimated_drop else None,
        _drift(_decided(checks, "drift"), policy, judged_to),
        _age(state, policy, now, answered_in_epoch_at),
        _schedule(state, policy, now, answered_at),
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
