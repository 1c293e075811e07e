"""Decisions to retrain: written cases, and what must hold for any history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.retrain import decide
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.retrain_state import EARLIEST, Check, Request, RetrainState

TRAINED = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
DEFAULT = RetrainPolicy()


def month(number: float) -> datetime:
    return TRAINED + number * MONTH


def check(kind: Any, number: float, verdict: str, rows: int | None = None) -> Check:
    labelled = 500 if rows is None and kind == "performance" else rows
    return Check(kind=kind, window_end=month(number), verdict=verdict, labelled_rows=labelled, run_id=f"{kind}{number}")


def request(number: int, at: float, outcome: Any, *, epoch: int = 1, window: float | None = None) -> Request:
    end = month(at if window is None else window)
    return Request(number=number, epoch=epoch, at=month(at), window_end=end, outcome=outcome)


def state(*checks: Check, requests: tuple[Request, ...] = (), **fields: Any) -> RetrainState:
    return RetrainState(epoch=1, trained_at=TRAINED, checks=checks, requests=requests, **fields)


def test_a_drop_that_labels_show_retrains_and_says_from_which_checks() -> None:
    found = decide(
        state=state(check("performance", 1, "no_drop"), check("performance", 2, "drop")), policy=DEFAULT, now=month(2)
    )
    assert found.retrain
    assert found.window_end == month(2)
    assert found.alarms[0].run_ids == ("performance2",)
    assert found.suppressed_by == ()
    assert found.next_possible_at == month(2)


def test_drift_that_labels_show_to_be_harmless_does_not_retrain() -> None:
    checks = [one for n in (1, 2, 3, 4) for one in (check("drift", n, "drift"), check("performance", n, "no_drop"))]
    assert decide(state=state(*checks), policy=DEFAULT, now=month(4)).reasons == ()
    assert decide(state=state(*checks), policy=RetrainPolicy.on_any_drift(), now=month(4)).retrain


def hint(number: float) -> Check:
    return replace(check("performance", number, "no_drop"), suspected=True)


def test_labels_that_hint_at_a_drop_and_drift_of_the_same_window_are_enough_together() -> None:
    found = decide(state=state(check("drift", 2, "drift"), hint(2)), policy=DEFAULT, now=month(2))
    assert found.retrain
    assert "labels make a drop probable in the window to" in found.reasons[0]
    assert found.alarms[0].run_ids == ("drift2", "performance2")


@pytest.mark.parametrize(
    "checks",
    [
        (hint(2),),
        (check("drift", 2, "no_drift"), hint(2)),
        (check("drift", 1, "drift"), hint(2)),
        (check("drift", 1, "drift"), hint(1), check("drift", 2, "drift"), check("performance", 2, "no_drop")),
    ],
    ids=["alone", "without drift", "of another window", "refuted by the next window"],
)
def test_a_hint_of_labels_alone_is_not_enough(checks: tuple[Check, ...]) -> None:
    assert decide(state=state(*checks), policy=DEFAULT, now=month(2)).reasons == ()


def test_a_policy_without_drift_or_without_labels_takes_no_hints() -> None:
    known = state(check("drift", 2, "drift"), hint(2))
    for policy in (RetrainPolicy(on_drift="never"), RetrainPolicy(on_performance_drop=False)):
        assert decide(state=known, policy=policy, now=month(2)).reasons == ()


def followed(*checks: Check, outcome: Any = "promoted", causes: tuple[str, ...] = ("performance",)) -> RetrainState:
    """The champion of epoch 2 came of a request that learned from 600 rows of the changed time."""
    asked = replace(request(1, 0, outcome), causes=causes, new_rows=600)
    return replace(state(*checks, requests=(asked,)), epoch=2)


def test_a_retraining_for_a_loss_is_followed_by_one_more_when_twice_the_rows_are_there() -> None:
    one, two = check("performance", 1, "no_drop", 400), check("performance", 2, "no_drop", 200)
    assert decide(state=followed(one), policy=DEFAULT, now=month(1)).reasons == ()
    found = decide(state=followed(one, two), policy=DEFAULT, now=month(2))
    assert (found.retrain, found.alarms[0].cause, found.new_rows) == (True, "follow_up", 600)
    assert decide(state=followed(one, two), policy=RetrainPolicy(follow_up=False), now=month(2)).reasons == ()


@pytest.mark.parametrize(
    "before",
    [{"causes": ("age",)}, {"causes": ("follow_up",)}, {"causes": ()}, {"outcome": "rejected"}, {"outcome": "unknown"}],
)
def test_only_a_new_champion_that_a_change_asked_for_is_followed_up(before: dict[str, Any]) -> None:
    checks = (check("performance", 1, "no_drop", 5000),)
    assert decide(state=followed(*checks, **before), policy=DEFAULT, now=month(1)).reasons == ()


def test_a_follow_up_is_asked_for_once_whatever_came_of_it_and_again_only_when_it_failed() -> None:
    first = replace(request(1, 0, "promoted"), causes=("drift",), new_rows=600)
    checks = tuple(check("performance", n, "no_drop", 5000) for n in (1, 2, 3, 4, 5, 6))
    for outcome, again in (("rejected", False), ("finished", False), ("in_flight", False), ("failed", True)):
        second = replace(request(2, 1, outcome, epoch=2), causes=("follow_up",), new_rows=5000)
        known = replace(state(*checks, requests=(first, second)), epoch=2)
        assert decide(state=known, policy=DEFAULT, now=month(6)).retrain is again, outcome


def test_drift_that_the_estimate_shows_to_be_harmless_does_not_retrain() -> None:
    checks = [one for n in (1, 2, 3, 4) for one in (check("drift", n, "drift"), check("estimate", n, "no_drop"))]
    assert decide(state=state(*checks), policy=DEFAULT, now=month(4)).reasons == ()


@pytest.mark.parametrize(("windows", "retrain"), [(2, False), (3, True)])
def test_drift_that_nobody_can_judge_retrains_when_it_lasts(windows: int, retrain: bool) -> None:
    late = [check("drift", 2 + n, "drift") for n in range(windows)]
    blind = [check("performance", 2 + n, "insufficient_data", 400) for n in range(windows)]
    checks = [check("drift", 1, "drift"), check("performance", 1, "no_drop"), *late, *blind]
    assert decide(state=state(*checks), policy=DEFAULT, now=month(5)).retrain is retrain


def test_a_quiet_window_ends_the_drift_before_it() -> None:
    checks = [check("drift", n, "no_drift" if n == 3 else "drift") for n in (1, 2, 3, 4)]
    assert decide(state=state(*checks), policy=DEFAULT, now=month(4)).reasons == ()


def test_the_estimate_bridges_a_label_outage_and_waits_for_labels_to_learn_from() -> None:
    outage = [
        check("performance", 1, "no_drop"),
        check("performance", 2, "insufficient_data", 0),
        check("estimate", 2, "drop"),
    ]
    found = decide(state=state(*outage), policy=DEFAULT, now=month(2))
    assert found.suppressed_by == ("min_new_rows",)
    assert found.reasons == ("the estimate shows a drop in the window to 2026-03-02T00:00:00+00:00",)
    labels = [*outage, check("performance", 3, "insufficient_data", 350), check("estimate", 3, "drop")]
    assert decide(state=state(*labels), policy=DEFAULT, now=month(3)).retrain


def test_labels_refute_an_estimate_of_the_same_window_and_of_earlier_ones() -> None:
    checks = [check("estimate", 2, "drop"), check("performance", 2, "no_drop")]
    assert decide(state=state(*checks), policy=DEFAULT, now=month(2)).reasons == ()
    assert decide(state=state(checks[0], check("performance", 1, "no_drop", 0)), policy=DEFAULT, now=month(2)).reasons


def test_an_estimate_without_a_drop_does_not_refute_labels() -> None:
    # The estimate is blind to a change of the relation between features and label.
    checks = [check("performance", 2, "drop"), check("estimate", 3, "no_drop")]
    assert decide(state=state(*checks), policy=DEFAULT, now=month(3)).retrain


def test_rows_from_before_the_change_are_not_worth_learning_from() -> None:
    old = [check("performance", n, "no_drop", 5000) for n in (1, 2)]
    found = decide(state=state(*old, check("performance", 3, "drop", 299)), policy=DEFAULT, now=month(3))
    assert found.suppressed_by == ("min_new_rows",)
    assert found.notes == ("299 labelled rows to learn from; 300 are needed",)


@pytest.mark.parametrize(
    ("windows", "rows"),
    [
        # (start, end, rows) in months; the evidence begins with the window that ends at 3.
        ([(1, 2, 500), (2, 3, 100), (3, 4, 150)], 250),
        ([(2, 3, 100), (2.5, 3.5, 100), (3, 4, 120), (3.5, 4.5, 150)], 250),
        ([(None, 2, 5000), (None, 3, 5100), (None, 4, 5250)], 250),
        ([(None, 3, 5100), (None, 4, 5250)], 5250),
    ],
)
def test_rows_in_two_windows_count_once(windows: list[tuple[float | None, float, int]], rows: int) -> None:
    checks = [
        replace(
            check("performance", end, "drop" if end >= 3 else "no_drop", count),
            window_start=EARLIEST if start is None else month(start),
        )
        for start, end, count in windows
    ]
    found = decide(state=state(*checks), policy=replace(DEFAULT, min_new_rows=10_000), now=month(5))
    assert found.notes == (f"{rows} labelled rows to learn from; 10000 are needed",)


def test_rows_that_nobody_counted_hold_nothing_back_and_the_decision_says_so() -> None:
    found = decide(state=state(check("estimate", 1, "drop")), policy=DEFAULT, now=month(1))
    assert found.retrain
    assert "nobody counted" in found.notes[0]
    assert not decide(state=state(check("estimate", 1, "drop"), new_rows=299), policy=DEFAULT, now=month(1)).retrain


def test_evidence_that_was_answered_is_not_asked_again_and_new_evidence_is() -> None:
    answered = state(check("performance", 2, "drop"), requests=(request(5, 2, "finished"),))
    assert decide(state=answered, policy=DEFAULT, now=month(9)).suppressed_by == ("answered",)
    later = replace(answered, checks=(*answered.checks, check("performance", 3, "drop")))
    assert decide(state=later, policy=DEFAULT, now=month(9)).retrain


def test_late_labels_of_a_window_before_the_answered_one_are_answered_with_it() -> None:
    found = decide(
        state=state(check("drift", 3, "drift"), check("performance", 2, "drop"), requests=(request(5, 3, "finished"),)),
        policy=DEFAULT,
        now=month(9),
    )
    assert found.suppressed_by == ("answered",)


def test_under_another_champion_old_answers_count_for_the_clock_only() -> None:
    found = decide(
        state=state(check("performance", 2, "drop"), requests=(request(1, 2, "promoted", epoch=0),)),
        policy=DEFAULT,
        now=month(2) + timedelta(days=3),
    )
    assert found.suppressed_by == ("cooldown",)
    assert found.next_possible_at == month(2) + timedelta(days=5)


def test_a_failed_training_is_asked_again_after_twice_the_cooldown_as_another_attempt() -> None:
    failed = state(check("performance", 2, "drop"), requests=(request(5, 2, "failed"),))
    early = decide(state=failed, policy=DEFAULT, now=month(2) + timedelta(days=9))
    assert early.suppressed_by == ("backoff",)
    assert early.next_possible_at == month(2) + timedelta(days=10)
    again = decide(state=failed, policy=DEFAULT, now=early.next_possible_at)
    assert (again.retrain, again.attempt) == (True, 2)


def test_a_rejected_challenger_needs_new_evidence_and_twice_the_cooldown() -> None:
    rejected = (request(5, 2, "rejected"),)
    same = decide(state=state(check("performance", 2, "drop"), requests=rejected), policy=DEFAULT, now=month(9))
    assert same.suppressed_by == ("answered",)
    new = state(check("performance", 2, "drop"), check("performance", 2.3, "drop"), requests=rejected)
    assert decide(state=new, policy=DEFAULT, now=month(2.3)).suppressed_by == ("backoff",)
    assert decide(state=new, policy=DEFAULT, now=month(2) + timedelta(days=10)).retrain


def test_each_failure_doubles_the_wait_up_to_a_limit() -> None:
    waits = []
    for failures in range(1, 9):
        tries = tuple(request(n, 2 + n / 1000, "failed", window=2) for n in range(failures))
        found = decide(
            state=state(check("performance", 2, "drop"), requests=tries),
            policy=replace(DEFAULT, max_per_period=None),
            now=tries[-1].at,
        )
        waits.append((found.next_possible_at - tries[-1].at).days)
    assert waits == [10, 20, 40, 80, 160, 160, 160, 160]


def test_one_training_at_a_time_unless_told_otherwise() -> None:
    busy = state(check("performance", 3, "drop"), requests=(request(5, 2, "in_flight"),))
    assert decide(state=busy, policy=DEFAULT, now=month(3)).suppressed_by == ("in_flight",)
    assert decide(state=busy, policy=replace(DEFAULT, one_in_flight=False), now=month(3)).retrain


def test_a_request_whose_training_was_never_started_is_in_flight_while_young_and_lost_when_old() -> None:
    lost = state(check("performance", 2, "drop"), requests=(request(5, 2, "missing"),))
    assert "in_flight" in decide(state=lost, policy=DEFAULT, now=month(2) + timedelta(days=4)).suppressed_by
    old = decide(state=lost, policy=DEFAULT, now=month(2) + timedelta(days=10))
    assert (old.retrain, old.attempt) == (True, 2)


def test_no_more_requests_than_allowed_in_any_period() -> None:
    twice = (request(1, 1.4, "promoted", epoch=0), request(3, 1.7, "promoted", epoch=0))
    found = decide(state=state(check("performance", 2, "drop"), requests=twice), policy=DEFAULT, now=month(2))
    assert found.suppressed_by == ("max_per_period",)
    assert found.next_possible_at == month(2.4)


def test_nothing_is_asked_in_quiet_hours_or_of_a_paused_dag() -> None:
    policy = replace(DEFAULT, quiet_hours=("08:00", "18:00"), timezone="Europe/Berlin")
    now = datetime(2026, 7, 1, 10, tzinfo=UTC)
    found = decide(state=state(check("performance", 2, "drop"), target_paused=True), policy=policy, now=now)
    assert found.suppressed_by == ("target_paused", "quiet_hours")
    assert found.next_possible_at == datetime(2026, 7, 1, 16, tzinfo=UTC)


def test_age_asks_once_and_again_when_so_long_passed_without_a_new_champion() -> None:
    policy = replace(DEFAULT, max_age=3 * MONTH)
    assert decide(state=state(), policy=policy, now=month(3) - timedelta(seconds=1)).reasons == ()
    first = decide(state=state(new_rows=300), policy=policy, now=month(3.2))
    assert (first.retrain, first.window_end) == (True, month(3))
    asked = (request(5, 3.2, "rejected", window=3),)
    assert decide(state=state(requests=asked, new_rows=300), policy=policy, now=month(6)).reasons == ()
    assert decide(state=state(requests=asked, new_rows=300), policy=policy, now=month(6.2)).window_end == month(6.2)


def test_a_schedule_retrains_once_for_each_of_its_times() -> None:
    policy = RetrainPolicy.on_schedule("@monthly")
    start = datetime(2026, 2, 1, tzinfo=UTC)
    assert not decide(state=state(), policy=policy, now=start - timedelta(seconds=1)).retrain
    found = decide(state=state(), policy=policy, now=start + timedelta(hours=5))
    assert (found.retrain, found.window_end) == (True, start)
    done = Request(number=2, epoch=1, at=start + timedelta(hours=5), window_end=start, outcome="promoted")
    assert decide(state=state(requests=(done,)), policy=policy, now=start + timedelta(days=20)).reasons == ()
    assert decide(state=state(requests=(done,)), policy=policy, now=start + timedelta(days=28)).retrain


def test_a_window_that_ends_days_ahead_is_a_mistake_and_hides_nothing() -> None:
    typo = check("performance", 2, "no_drop")
    typo = replace(typo, window_end=datetime(2062, 1, 1, tzinfo=UTC))
    found = decide(state=state(check("performance", 1, "drop"), typo), policy=DEFAULT, now=month(1))
    assert found.retrain
    assert found.notes == ("1 checks of windows that end in the future were left out",)
    skewed = replace(typo, window_end=month(1) + timedelta(hours=23))
    assert decide(state=state(check("performance", 1, "drop"), skewed), policy=DEFAULT, now=month(1)).reasons == ()


def test_times_without_a_zone_and_doubled_windows_are_refused() -> None:
    with pytest.raises(InputError, match="now must be a time with a zone"):
        decide(state=state(), policy=DEFAULT, now=datetime(2026, 1, 1))
    with pytest.raises(InputError, match="window_end of a check"):
        Check(kind="drift", window_end=datetime(2026, 1, 1), verdict="drift")
    with pytest.raises(InputError, match="two drift checks"):
        state(check("drift", 1, "drift"), check("drift", 1, "no_drift"))
    with pytest.raises(InputError, match="verdict of a performance check"):
        check("performance", 1, "drift")


DAYS = st.integers(0, 120)
VERDICTS = {"drift": ("drift", "no_drift"), "performance": ("drop", "no_drop"), "estimate": ("drop", "no_drop")}
POLICIES = st.builds(
    RetrainPolicy,
    on_drift=st.sampled_from(["confirmed", "always"]),
    drift_windows=st.integers(1, 3),
    on_estimated_drop=st.booleans(),
    min_new_rows=st.sampled_from([0, 300]),
    cooldown=st.integers(1, 20).map(lambda days: timedelta(days=days)),
    max_per_period=st.none() | st.integers(1, 3),
    one_in_flight=st.booleans(),
    quiet_hours=st.none() | st.sampled_from([("08:00", "18:00"), ("22:00", "06:00")]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
)


@st.composite
def checks_of_days(draw: st.DrawFn) -> tuple[Check, ...]:
    found = {}
    for _ in range(draw(st.integers(0, 15))):
        kind = draw(st.sampled_from(sorted(VERDICTS)))
        verdict = draw(st.sampled_from([*VERDICTS[kind], "insufficient_data"]))
        day = draw(DAYS)
        rows = draw(st.sampled_from([0, 100, 400])) if kind == "performance" else None
        found[kind, day] = Check(
            kind=kind, window_end=TRAINED + timedelta(days=day), verdict=verdict, labelled_rows=rows
        )
    return tuple(found.values())


def living(
    checks: tuple[Check, ...], policy: RetrainPolicy, hours: list[int], outcomes: list[str], skew: list[int]
) -> list[Request]:
    """Decide at each time with what is known by then, entering each request; an outcome that promotes changes epoch."""
    requests: list[Request] = []
    epoch, trained = 1, TRAINED
    for step, hour in enumerate(sorted(hours)):
        now = TRAINED + timedelta(hours=hour + skew[step % len(skew)])
        known = tuple(one for one in checks if trained < one.window_end <= TRAINED + timedelta(hours=hour))
        found = decide(
            state=RetrainState(epoch=epoch, trained_at=trained, checks=known, requests=tuple(requests)),
            policy=policy,
            now=now,
        )
        assert found.next_possible_at >= now
        if not found.retrain:
            continue
        outcome = outcomes[len(requests) % len(outcomes)]
        requests.append(
            Request(number=len(requests) + 1, epoch=epoch, at=now, window_end=found.window_end, outcome=outcome)
        )
        if outcome == "promoted":
            epoch, trained = epoch + 1, found.window_end
    return requests


LIFE = {
    "checks": checks_of_days(),
    "policy": POLICIES,
    "hours": st.lists(st.integers(0, 130 * 24), min_size=5, max_size=60),
    "outcomes": st.lists(
        st.sampled_from(["finished", "failed", "rejected", "promoted", "unknown"]), min_size=1, max_size=4
    ),
}


@settings(max_examples=150)
@given(**LIFE)
def test_no_life_asks_within_the_cooldown_nor_more_than_the_quota_nor_in_quiet_hours(
    checks: tuple[Check, ...], policy: RetrainPolicy, hours: list[int], outcomes: list[str]
) -> None:
    requests = living(checks, policy, hours, outcomes, [0])
    times = [one.at for one in requests]
    assert all(later - earlier >= policy.cooldown for earlier, later in pairwise(times))
    if policy.max_per_period is not None:
        gaps = zip(times, times[policy.max_per_period :], strict=False)
        assert all(later - earlier >= policy.period for earlier, later in gaps)
    assert all(policy.quiet_until(one) == one for one in times)


@settings(max_examples=150)
@given(**LIFE, skew=st.lists(st.integers(-24, 24), min_size=1, max_size=5))
def test_no_life_asks_twice_for_the_same_evidence_even_with_clocks_a_day_apart(
    checks: tuple[Check, ...], policy: RetrainPolicy, hours: list[int], outcomes: list[str], skew: list[int]
) -> None:
    requests = living(checks, policy, hours, outcomes, skew)
    answered = [(one.epoch, one.window_end) for one in requests if one.outcome != "failed"]
    assert len(answered) == len(set(answered))


@settings(max_examples=150)
@given(
    checks=checks_of_days(),
    policy=POLICIES,
    requests=st.lists(st.tuples(DAYS, st.sampled_from(["finished", "failed", "rejected", "in_flight"])), max_size=5),
    hours=st.lists(st.integers(0, 150 * 24), min_size=2, max_size=10),
)
def test_the_next_possible_time_only_moves_on_and_holds_what_it_promises(
    checks: tuple[Check, ...], policy: RetrainPolicy, requests: list[tuple[int, Any]], hours: list[int]
) -> None:
    asked = tuple(
        Request(
            number=n,
            epoch=1,
            at=TRAINED + timedelta(days=day),
            window_end=TRAINED + timedelta(days=day),
            outcome=outcome,
        )
        for n, (day, outcome) in enumerate(sorted(requests), start=1)
    )
    known = RetrainState(epoch=1, trained_at=TRAINED, checks=checks, requests=asked)
    clock = {"backoff", "cooldown", "max_per_period", "quiet_hours"}
    before = None
    for hour in sorted(hours):
        now = TRAINED + timedelta(hours=hour)
        found = decide(state=known, policy=policy, now=now)
        assert before is None or found.next_possible_at >= before
        before = found.next_possible_at
        assert (found.next_possible_at > now) or not clock & set(found.suppressed_by)
        assert not clock & set(decide(state=known, policy=policy, now=found.next_possible_at).suppressed_by)


def test_a_hundred_alarms_at_once_are_one_request() -> None:
    checks = tuple(check("drift", n, "drift") for n in (1, 2, 3))
    requests: list[Request] = []
    for _ in range(100):
        found = decide(state=state(*checks, requests=tuple(requests)), policy=DEFAULT, now=month(3))
        if found.retrain:
            requests.append(request(len(requests) + 1, 3, "in_flight"))
    assert len(requests) == 1
