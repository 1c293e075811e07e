from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.label_join import Matched, match_labels
from airflow_mlops_provider.core.row_times import row_times

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def match(keys: list[int | None], labels: list[tuple[int | None, str | None]], **arguments: Any) -> Matched:
    scored = pa.table({"id": pa.array(keys, pa.int64())})
    table = pa.table(
        {"id": pa.array([key for key, _ in labels], pa.int64()), "y": pa.array([y for _, y in labels], pa.string())}
    )
    return match_labels(scored, table, keys=["id"], target="y", **arguments)


def known_at(days_before: list[float | None]) -> dict[str, Any]:
    stamps = [None if days is None else NOW - timedelta(days=days) for days in days_before]
    column = pa.chunked_array([pa.array(stamps, pa.timestamp("us", tz="UTC"))])
    return {"times": row_times(column, name="known_at"), "now": NOW}


def test_labels_of_rows_that_nobody_scored_are_counted() -> None:
    found = match([1, 2, 3], [(3, "a"), (8, "a"), (9, "a")])
    assert (found.rows.tolist(), found.labels.tolist()) == ([2], [0])
    assert (found.counts.unknown, found.counts.joined) == (2, 1)


def test_labels_of_nothing_that_was_scored_are_refused() -> None:
    with pytest.raises(InputError, match=r"No label belongs to any .* 2 labels, 2 rows"):
        match([1, 2], [(8, "a"), (9, "a")])


def test_nothing_is_refused_where_no_label_is_expected_yet() -> None:
    assert match([1, 2], [(8, "a")], positions=np.array([], dtype=np.int64)).counts.unknown == 1


def test_labels_of_rows_beside_the_window_are_told_apart_from_unknown_ones() -> None:
    found = match([1, 2, 3], [(1, "a"), (3, "a"), (9, "a")], positions=np.array([0, 1]))
    assert found.rows.tolist() == [0]
    assert (found.counts.beside, found.counts.unknown) == (1, 1)


def test_the_same_label_twice_counts_once() -> None:
    found = match([1], [(1, "a"), (1, "a"), (1, "a")])
    assert (found.counts.joined, found.counts.repeated) == (1, 2)


def test_two_answers_for_one_row_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 keys in .* two different labels in 'y'"):
        match([1, 2], [(1, "a"), (2, "a"), (1, "b")])


def test_with_times_the_latest_label_that_was_known_counts() -> None:
    found = match([1], [(1, "a"), (1, "b"), (1, "c")], **known_at([9, 3, -1]))
    assert found.labels.tolist() == [1]
    assert (found.counts.corrected, found.counts.future) == (1, 1)


def test_two_answers_of_one_time_are_refused_too() -> None:
    with pytest.raises(InputError, match="at the same time"):
        match([1], [(1, "a"), (1, "b")], **known_at([3, 3]))


def test_labels_that_are_all_from_the_future_leave_nothing_labelled_and_are_counted() -> None:
    found = match([1, 2], [(1, "a"), (2, "b")], **known_at([-1, -0.001]))
    assert (found.counts.joined, found.counts.future) == (0, 2)


def test_empty_labels_and_labels_of_nobody_are_counted() -> None:
    found = match([1, None], [(1, None), (None, "a"), (None, None)])
    assert (found.counts.joined, found.counts.empty, found.counts.without_key) == (0, 2, 1)


def test_labels_without_the_time_that_is_asked_for_are_left_out() -> None:
    found = match([1, 2], [(1, "a"), (2, "a")], **known_at([3, None]))
    assert (found.rows.tolist(), found.counts.without_time) == ([0], 1)


@given(
    keys=st.lists(st.integers(0, 9), unique=True, max_size=8),
    labels=st.dictionaries(st.integers(0, 9), st.sampled_from("ab"), max_size=8),
)
def test_the_join_is_that_of_pandas(keys: list[int], labels: dict[int, str]) -> None:
    scored = pd.DataFrame({"id": pd.Series(keys, dtype="int64"), "row": range(len(keys))})
    table = pd.DataFrame({"id": pd.Series(list(labels), dtype="int64"), "y": list(labels.values())})
    expected = scored.merge(table, on="id")
    if keys and labels and not len(expected):
        with pytest.raises(InputError):
            match(list(keys), list(labels.items()))
        return
    found = match(list(keys), list(labels.items()))
    assert found.rows.tolist() == expected["row"].tolist()
    assert [list(labels.items())[at][1] for at in found.labels] == expected["y"].tolist()
    counts = found.counts
    assert counts.joined + counts.unknown + counts.beside == counts.labels
