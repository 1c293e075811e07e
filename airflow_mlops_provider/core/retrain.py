"""Whether to retrain now: reasons on one side, what holds back on the other, as one pure decision.

It knows no time but the one it is given and asks for nothing by itself. The same state gives the same decision, so a
task that is tried again, a monitor that runs twice and a hundred alarms at once all ask for one training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from airflow_mlops_provider.core.retrain_alarms import Alarm, find_alarms, new_rows
from airflow_mlops_provider.core.retrain_policy import MAX_DOUBLINGS, RetrainPolicy
from airflow_mlops_provider.core.retrain_state import EARLIEST, Request, RetrainState, aware

Suppressor = Literal[
    "answered", "in_flight", "target_paused", "min_new_rows", "backoff", "cooldown", "max_per_period", "quiet_hours"
]
# How wrong a clock may be: a window that ends later than this from now is a mistake, not news.
CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainDecision:
    """What was decided, and why.

    Parameters
    ----------
    retrain : bool
        Whether to ask for a training now.
    reasons : tuple of str
        What speaks for it, a sentence each; () when nothing does.
    suppressed_by : tuple of str
        What holds it back although there are reasons; () otherwise.
    next_possible_at : datetime
        First moment, from now on, at which cooldown, quota and quiet hours allow a request.
    alarms : tuple of Alarm
        The reasons that no earlier request answered; all of them where each was answered.
    window_end : datetime or None
        The latest evidence among `alarms`.
    attempt : int
        From 1; a training that failed is asked for again, with the same evidence, after the back-off.
    notes : tuple of str
        What was left out of account, a sentence each.
    new_rows : int or None
        Labelled rows from the changed time to learn from; None where nobody counted, or nothing speaks for it.
    """

    retrain: bool
    reasons: tuple[str, ...]
    suppressed_by: tuple[Suppressor, ...]
    next_possible_at: datetime
    alarms: tuple[Alarm, ...] = ()
    window_end: datetime | None = None
    attempt: int = 1
    notes: tuple[str, ...] = ()
    new_rows: int | None = None


def decide(*, state: RetrainState, policy: RetrainPolicy, now: datetime) -> RetrainDecision:
    """Decide whether to ask for a training.

    Parameters
    ----------
    state : RetrainState
        Checks of the champion and earlier requests.
    policy : RetrainPolicy
        What counts.
    now : datetime
        With a zone.

    Returns
    -------
    RetrainDecision

    Raises
    ------
    InputError
        `now` has no zone.

    Examples
    --------
    >>> from airflow_mlops_provider.core.retrain_state import Check
    >>> day = datetime(2026, 3, 1, tzinfo=UTC)
    >>> bad = Check(kind="performance", window_end=day, verdict="drop", labelled_rows=500)
    >>> state = RetrainState(epoch=1, trained_at=day - timedelta(days=90), checks=(bad,))
    >>> decide(state=state, policy=RetrainPolicy(), now=day).reasons
    ('labels show a drop in the window to 2026-03-01T00:00:00+00:00',)
    """
    now = aware("now", now).astimezone(UTC)
    checks = [one for one in state.checks if one.window_end <= now + CLOCK_SKEW]
    notes = []
    if len(checks) < len(state.checks):
        notes.append(f"{len(state.checks) - len(checks)} checks of windows that end in the future were left out")
    mine = [one for one in state.requests if one.epoch == state.epoch]
    answers = [one for one in mine if not _came_to_nothing(one, policy, now)]
    alarms = find_alarms(
        state,
        checks,
        policy,
        now=now,
        answers=[one for one in state.requests if one not in mine or one in answers],
    )
    waits = _waits(state.requests, mine, policy, now)
    possible = policy.quiet_until(max(now, *waits.values()) if waits else now)
    if not alarms:
        return RetrainDecision(
            retrain=False, reasons=(), suppressed_by=(), next_possible_at=possible, notes=tuple(notes)
        )
    answered_to = max((one.window_end for one in answers), default=EARLIEST)
    news = tuple(one for one in alarms if one.cause in {"age", "schedule"} or one.window_end > answered_to)
    suppressed: list[Suppressor] = [] if news else ["answered"]
    if policy.one_in_flight and any(_in_flight(one, state.epoch, policy, now) for one in state.requests):
        suppressed.append("in_flight")
    if state.target_paused:
        suppressed.append("target_paused")
    rows = [new_rows(state, checks, since=one.since, answered_to=answered_to) for one in news]
    if policy.min_new_rows and None in rows:
        notes.append("nobody counted the labelled rows to learn from, so min_new_rows held nothing back")
    elif rows and max(one or 0 for one in rows) < policy.min_new_rows:
        suppressed.append("min_new_rows")
        notes.append(f"{max(one or 0 for one in rows)} labelled rows to learn from; {policy.min_new_rows} are needed")
    suppressed += [name for name, until in waits.items() if now < until]
    if policy.quiet_until(now) > now:
        suppressed.append("quiet_hours")
    window_end = max(one.window_end for one in news or alarms)
    return RetrainDecision(
        retrain=not suppressed,
        reasons=tuple(one.reason for one in news or alarms),
        suppressed_by=tuple(suppressed),
        next_possible_at=possible,
        alarms=news or alarms,
        window_end=window_end,
        attempt=1 + sum(one.window_end == window_end for one in mine if one not in answers),
        notes=tuple(notes),
        new_rows=max((one for one in rows if one is not None), default=None),
    )


def _waits(
    requests: Sequence[Request], mine: Sequence[Request], policy: RetrainPolicy, now: datetime
) -> dict[Suppressor, datetime]:
    """Return until when the clock holds back, by rule."""
    found: dict[Suppressor, datetime] = {}
    if requests:
        failures = sum(one.outcome == "rejected" or _came_to_nothing(one, policy, now) for one in mine)
        pause = policy.cooldown * 2 ** min(failures, MAX_DOUBLINGS)
        found["backoff" if failures else "cooldown"] = _at(requests) + pause
    limit = policy.max_per_period
    if limit is not None and len(requests) >= limit:
        found["max_per_period"] = sorted(one.at for one in requests)[-limit] + policy.period
    return found


def _at(requests: Iterable[Request]) -> datetime:
    return max(one.at for one in requests)


def _came_to_nothing(request: Request, policy: RetrainPolicy, now: datetime) -> bool:
    """Return whether a request led to no training, so that its evidence is open again."""
    if request.outcome == "missing":
        # Young, it is about to be started, or to be started by whoever finds it; old, its run was lost.
        return now >= request.at + policy.cooldown
    return request.outcome == "failed"


def _in_flight(request: Request, epoch: int, policy: RetrainPolicy, now: datetime) -> bool:
    if request.outcome == "missing":
        return request.epoch == epoch and not _came_to_nothing(request, policy, now)
    return request.outcome == "in_flight"
