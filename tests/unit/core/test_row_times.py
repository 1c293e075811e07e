from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_times import microseconds_of, row_times

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def column(values: list[object], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "naive"),
    [
        (column([NOON], pa.timestamp("us", tz="UTC")), 0),
        (column([NOON], pa.timestamp("ns", tz="America/New_York")), 0),
        (column([NOON.replace(tzinfo=None)], pa.timestamp("s")), 1),
        (column(["2026-03-01T12:00:00Z"], pa.string()), 0),
        (column(["2026-03-01T13:00:00.000+01:00"], pa.string()), 0),
        (column(["2026-03-01T12:00:00"], pa.large_string()), 1),
        (column(["2026-03-01 12:00"], pa.string()), 1),
    ],
)
def test_every_way_to_write_noon_is_noon(values: pa.ChunkedArray, naive: int) -> None:
    found = row_times(values, name="at")
    assert found.microseconds.tolist() == [microseconds_of(NOON)]
    assert (found.known.tolist(), found.naive) == ([True], naive)


def test_a_date_is_midnight_in_utc() -> None:
    found = row_times(column([date(2026, 3, 1), None], pa.date32()), name="at")
    assert found.microseconds.tolist() == [microseconds_of(NOON, days_before=0.5), 0]
    assert (found.known.tolist(), found.naive) == ([True, False], 1)


def test_the_hour_that_a_night_of_autumn_has_twice_is_two_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    stamps = row_times(column([first, second], pa.timestamp("us", tz="Europe/Berlin")), name="at")
    texts = row_times(column([first.isoformat(), second.isoformat()], pa.string()), name="at")
    assert stamps.microseconds.tolist() == texts.microseconds.tolist()
    assert stamps.microseconds[1] - stamps.microseconds[0] == 3_600_000_000


def test_a_time_far_away_and_one_of_a_fraction_of_a_microsecond_are_read() -> None:
    far = row_times(column([datetime(9999, 12, 31)], pa.timestamp("ms")), name="at")
    assert far.microseconds.tolist() == [microseconds_of(datetime(9999, 12, 31, tzinfo=UTC))]
    assert row_times(column([1_500], pa.timestamp("ns", tz="UTC")), name="at").microseconds.tolist() == [1]


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(InputError, match="'at' must hold times; got int64"):
        row_times(column([1_767_225_600], pa.int64()), name="at")
    with pytest.raises(InputError, match="'at' holds no time in any of its 2 rows"):
        row_times(column(["soon", None], pa.string()), name="at")


def test_days_before_an_aware_time_are_days_of_24_hours() -> None:
    moment = datetime(2026, 3, 29, 12, tzinfo=timezone(timedelta(hours=2)))
    assert microseconds_of(moment) - microseconds_of(moment, days_before=1) == 86_400_000_000
