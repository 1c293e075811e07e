from __future__ import annotations

import pytest

from airflow_mlops_provider.core.streak import Streak, bad_streak


def days(*verdicts: str) -> list[tuple[str, str]]:
    """Checks of consecutive days, the latest first, as MLflow gives them."""
    return [(f"2026-03-{day:02d}", verdict) for day, verdict in enumerate(verdicts, start=1)][::-1]


@pytest.mark.parametrize(
    ("checks", "until", "expected"),
    [
        (days("drift"), "2026-03-01", Streak(since="2026-03-01", windows=1)),
        (days("no_drift", "drift", "drift", "drift"), "2026-03-04", Streak(since="2026-03-02", windows=3)),
        (days("drop", "no_drop", "drop"), "2026-03-03", Streak(since="2026-03-03", windows=1)),
        # Too few data says nothing, so it does not end what began before.
        (days("no_drop", "drop", "insufficient_data", "drop"), "2026-03-04", Streak(since="2026-03-02", windows=2)),
        # A backfill: later windows are known already.
        (days("drift", "drift", "no_drift"), "2026-03-02", Streak(since="2026-03-01", windows=2)),
        (days("drift", "no_drift"), "2026-03-02", None),
        (days("drift", "insufficient_data"), "2026-03-02", None),
        ([], "2026-03-01", None),
    ],
)
def test_it_begins_with_the_first_of_the_bad_windows_in_a_row(
    checks: list[tuple[str, str]], until: str, expected: Streak | None
) -> None:
    assert bad_streak(checks, until=until) == expected


def test_of_a_window_that_was_checked_again_the_latest_check_counts() -> None:
    checks = [("d3", "drift"), ("d2", "no_drift"), ("d2", "drift"), ("d1", "drift")]
    assert bad_streak(checks, until="d3") == Streak(since="d3", windows=1)


def test_it_reads_no_further_than_the_streak() -> None:
    def checks():
        yield from [("d3", "drift"), ("d2", "no_drift")]
        raise AssertionError("read on")

    assert bad_streak(checks(), until="d3") == Streak(since="d3", windows=1)
