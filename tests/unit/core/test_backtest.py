"""Backtests over worlds whose every answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from airflow_mlops_provider.core.backtest import PastWindow, Score, policies_of, replay
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.retrain_state import Check

LABELS_AFTER = timedelta(days=0)


def months(number: int, *, late: timedelta | None = LABELS_AFTER) -> list[PastWindow]:
    starts = [datetime(2025 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(number + 1)]
    return [
        PastWindow(start=start, end=end, labels_known_at=None if late is None else end + late)
        for start, end in pairwise(starts)
    ]


class Shift:
    """From one window on all models do badly that learned from no window after it."""

    def __init__(self, windows: Sequence[PastWindow], at: int) -> None:
        self.windows, self.at = windows, at
        self.made: list[tuple[int, ...]] = []

    def train(self, known: Sequence[int]) -> int:
        self.made.append(tuple(known))
        return len(self.made) - 1

    def bad(self, model: int, window: int) -> bool:
        return window >= self.at and max(self.made[model], default=-1) < self.at

    def score(self, model: int, window: int) -> Score:
        bad = self.bad(model, window)
        return Score(value=0.6 if bad else 0.8, degraded=bad)

    def watch(self, model: int, window: int) -> Sequence[Check]:
        verdict = "drift" if self.bad(model, window) else "no_drift"
        return [Check(kind="drift", window_end=self.windows[window].end, verdict=verdict)]

    def judge(self, model: int, window: int) -> Check:
        verdict = "drop" if self.bad(model, window) else "no_drop"
        end = self.windows[window].end
        return Check(kind="performance", window_end=end, verdict=verdict, labelled_rows=500)


def test_a_shift_is_answered_once_its_labels_are_there_and_the_table_adds_up() -> None:
    windows = months(12)
    world = Shift(windows, at=5)
    found = replay(windows, RetrainPolicy(follow_up=False), world, name="ours")
    assert [n for n, one in enumerate(found.steps) if one.retrained] == [5]
    assert world.made == [(), (0, 1, 2, 3, 4, 5)]
    assert found.retrains == 1
    assert found.degraded_days == 30  # June
    assert found.mean == pytest.approx((0.8 * 335 + 0.6 * 30) / 365)


def test_a_retraining_for_a_shift_is_followed_by_one_more_when_the_changed_time_has_twice_the_rows() -> None:
    windows = months(12)
    world = Shift(windows, at=5)
    found = replay(windows, RetrainPolicy(), world, name="ours")
    assert [n for n, one in enumerate(found.steps) if one.retrained] == [5, 6]
    assert "500 labelled rows have come since" in found.steps[6].reasons[0]
    assert world.made == [(), (0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5, 6)]


def test_nothing_is_known_before_its_time() -> None:
    windows = months(12, late=timedelta(days=61))
    world = Shift(windows, at=5)
    found = replay(windows, RetrainPolicy(on_drift="never", follow_up=False), world, name="ours")
    # Labels of June come at the end of August, and with them those of the windows before.
    assert [n for n, one in enumerate(found.steps) if one.retrained] == [7]
    assert world.made[1] == (0, 1, 2, 3, 4, 5)
    assert found.degraded_days == 30 + 31 + 31


def test_without_any_labels_the_default_waits_for_some_and_any_drift_trains_on_the_old_data_for_nothing() -> None:
    windows = [*months(12)[:5], *months(12, late=None)[5:]]
    ours = replay(windows, RetrainPolicy(), Shift(windows, at=5), name="ours")
    assert ours.retrains == 0
    assert ours.steps[-1].suppressed_by == ("min_new_rows",)
    drift = replay(windows, RetrainPolicy.on_any_drift(), Shift(windows, at=5), name="any drift")
    assert drift.retrains == 7
    assert drift.degraded_days == ours.degraded_days


def test_policies_of_the_calendar_and_of_nothing_do_what_they_say() -> None:
    windows = months(12)
    assert replay(windows, RetrainPolicy.on_schedule(), Shift(windows, at=5), name="monthly").retrains == 12
    never = replay(windows, None, Shift(windows, at=5), name="never")
    assert (never.retrains, never.degraded_days) == (0, 30 + 31 + 31 + 30 + 31 + 30 + 31)


def test_windows_that_overlap_or_lack_zones_are_refused() -> None:
    first, second, *rest = months(4)
    world = Shift([first, second, *rest], at=1)
    overlapping = replace(second, start=first.end - timedelta(days=1))
    for windows, message in [
        ([first, overlapping], "before the one to .* ends"),
        ([second, first], "before the one to"),
        ([first], "at least 2 windows"),
    ]:
        with pytest.raises(InputError, match=message):
            replay(windows, RetrainPolicy(), world, name="ours")
    with pytest.raises(InputError, match="time with a zone"):
        replace(first, start=datetime(2025, 1, 1))
    with pytest.raises(InputError, match="must end after it starts"):
        replace(first, start=first.end)
    with pytest.raises(InputError, match="cannot be known before its end"):
        replace(first, labels_known_at=first.start)


def test_a_window_over_the_end_of_summer_time_is_no_overlap() -> None:
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    # 02:30 comes twice on that night; the first window ends with the first one.
    fold = datetime(2025, 10, 26, 2, 30, tzinfo=berlin)
    windows = [
        PastWindow(start=datetime(2025, 10, 1, tzinfo=berlin), end=fold, labels_known_at=None),
        PastWindow(start=fold.replace(fold=1), end=datetime(2025, 11, 1, tzinfo=berlin), labels_known_at=None),
    ]
    found = replay(windows, RetrainPolicy(), Shift(windows, at=1), name="ours")
    assert len(found.steps) == 2


def test_a_metric_that_is_no_number_is_refused() -> None:
    windows = months(3)
    world = Shift(windows, at=9)
    world.score = lambda model, window: Score(value=float("nan"), degraded=False)  # type: ignore[method-assign]
    with pytest.raises(InputError, match="is nan"):
        replay(windows, None, world, name="never")


@pytest.mark.parametrize("given", [{}, [], {"": None}, {3: None}, {"a": {"cooldown": 3}}])
def test_policies_that_cannot_be_compared_are_refused(given: object) -> None:
    with pytest.raises(InputError, match=r"[Pp]olic"):
        policies_of(given)
