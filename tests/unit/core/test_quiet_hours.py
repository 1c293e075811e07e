from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.quiet_hours import QuietHours, time_zone

BERLIN = ZoneInfo("Europe/Berlin")
MINUTES = st.integers(0, 24 * 60 - 1)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


def at(minute: int) -> time:
    return time(minute // 60, minute % 60)


def test_quiet_hours_over_midnight_are_quiet_on_both_sides_of_it() -> None:
    night = QuietHours.parse(("22:00", "06:00"))
    assert [night.covers(time(hour)) for hour in (21, 22, 0, 5, 6)] == [False, True, True, True, False]


def test_an_hour_that_summer_time_shows_twice_is_quiet_twice() -> None:
    # 2026-10-25 in Berlin: 03:00 CEST is 02:00 CET, so 02:00 to 03:00 is there at 00:00 and again at 01:00 UTC.
    quiet = QuietHours.parse(("02:00", "02:30"))
    first = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)
    assert quiet.quiet_until(first, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert quiet.quiet_until(first + timedelta(hours=1), BERLIN) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_an_end_that_summer_time_skips_is_the_moment_the_clock_jumps_over_it() -> None:
    # 2026-03-29 in Berlin: after 01:59 CET comes 03:00 CEST, at 01:00 UTC.
    quiet = QuietHours.parse(("01:00", "02:30"))
    assert quiet.quiet_until(datetime(2026, 3, 29, 0, 15, tzinfo=UTC), BERLIN) == datetime(2026, 3, 29, 1, tzinfo=UTC)


@given(MINUTES, MINUTES, st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), ZONES)
def test_it_is_never_quiet_when_the_quiet_ends_and_always_until_then(
    start: int, end: int, moment: datetime, zone: str
) -> None:
    if start == end:
        return
    quiet, now = QuietHours.parse((at(start), at(end))), moment.replace(tzinfo=UTC)
    until = quiet.quiet_until(now, ZoneInfo(zone))
    assert not quiet.is_quiet(until, ZoneInfo(zone))
    assert (until == now) is (not quiet.is_quiet(now, ZoneInfo(zone)))
    for part in (0.25, 0.5, 0.999):
        between = now + part * (until - now)
        assert between >= until or quiet.is_quiet(between, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("08:00", "08:00"), "whole day"),
        (("08:00",), "two times"),
        ("08:00", "two times"),
        (("8", "25:00"), "must be times"),
        (("08:00:30", "09:00"), "whole minutes"),
        ((time(8, tzinfo=UTC), "09:00"), "whole minutes"),
        ((None, "09:00"), "must be times"),
    ],
)
def test_what_is_no_span_of_a_day_is_refused(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        QuietHours.parse(given)


@pytest.mark.parametrize("name", ["Mars/Phobos", "", "../etc/passwd", None])
def test_a_time_zone_that_does_not_exist_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="timezone"):
        time_zone(name)
