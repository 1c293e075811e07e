from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_times import row_times
from airflow_mlops_provider.core.scored_window import ScoredWindow, rows_of_window

END = datetime(2026, 3, 31, tzinfo=UTC)

# Days before the end of the window, key, output.
Rows = list[tuple[float | None, int | None, float]]


def window(rows: Rows, **arguments: object) -> ScoredWindow:
    table = pa.table(
        {
            "id": pa.array([key for _, key, _ in rows], pa.int64()),
            "prediction": pa.array([value for _, _, value in rows], pa.float64()),
        }
    )
    stamps = [None if days is None else END - timedelta(days=days) for days, _, _ in rows]
    times = row_times(pa.chunked_array([pa.array(stamps, pa.timestamp("us", tz="UTC"))]), name="scored_at")
    settings: dict[str, object] = {"keys": ["id"], **arguments}
    return rows_of_window(table, times=times, end=END, **settings)  # type: ignore[arg-type]


def test_a_row_must_be_as_old_as_labels_are_late() -> None:
    found = window([(31, 1, 0), (30, 2, 0), (29.99, 3, 0), (0, 4, 0), (-1, 5, 0)], label_delay_days=30)
    assert found.positions.tolist() == [0, 1]
    assert (found.counts.immature, found.counts.later, found.counts.kept) == (2, 1, 2)


def test_windows_side_by_side_have_no_row_in_common_and_miss_none() -> None:
    rows: Rows = [(days / 4, days, 0) for days in range(80)]
    now = window(rows, window_days=10)
    before = window(rows, window_days=10, label_delay_days=10)
    assert sorted([*now.positions.tolist(), *before.positions.tolist()]) == list(range(80))
    assert now.counts.earlier == before.counts.immature == 40


def test_a_row_scored_in_two_windows_counts_once_with_its_latest_score() -> None:
    found = window([(9, 1, 0.1), (2, 1, 0.2), (5, 1, 0.3), (4, 2, 0.4)])
    assert found.positions.tolist() == [1, 3]
    assert (found.counts.rescored, found.counts.repeated) == (2, 0)


def test_a_copy_of_a_row_counts_once() -> None:
    found = window([(2, 1, 0.2), (2, 1, 0.2), (2, 2, 0.2)])
    assert len(found.positions) == 2
    assert (found.counts.rescored, found.counts.repeated) == (0, 1)


def test_two_outputs_of_one_row_and_time_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 scored rows have the key .* not its output"):
        window([(2, 1, 0.2), (2, 1, 0.3)])


def test_rows_without_time_or_key_are_counted() -> None:
    found = window([(None, 1, 0.2), (2, None, 0.3), (2, None, 0.3)])
    assert found.positions.tolist() == [1, 2]
    assert (found.counts.without_time, found.counts.without_key) == (1, 2)


@pytest.mark.parametrize("skew_days", [-1, 1])
def test_a_clock_that_is_a_day_off_moves_rows_to_another_window_and_loses_none(skew_days: int) -> None:
    rows: Rows = [(days, days, 0) for days in range(60)]
    skewed: Rows = [(days + skew_days, key, value) for (days, key, value) in rows if days is not None]
    right, wrong = window(rows, label_delay_days=30), window(skewed, label_delay_days=30)
    assert wrong.counts.kept - right.counts.kept == skew_days
    assert wrong.counts.kept + wrong.counts.immature + wrong.counts.later == 60


@given(
    rows=st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 5)), max_size=30),
    delay=st.integers(0, 5),
    length=st.one_of(st.none(), st.integers(1, 6)),
)
def test_each_row_is_somewhere_and_each_key_in_the_window_once(
    rows: list[tuple[int, int]], delay: int, length: int | None
) -> None:
    given_rows: Rows = [(float(days), key, float(key)) for days, key in rows]
    found = window(given_rows, label_delay_days=delay, window_days=length)
    last = delay + (length or 1_000)
    wanted = {key: min(d for d, k in rows if k == key and delay <= d < last) for d, key in rows if delay <= d < last}
    assert {rows[at][1]: rows[at][0] for at in found.positions} == wanted
    assert max(Counter(rows[at][1] for at in found.positions).values(), default=1) == 1
    counts = found.counts
    gone = counts.later + counts.immature + counts.earlier + counts.repeated + counts.rescored
    assert gone + counts.kept == counts.rows == len(rows)
