from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.intervals import wilson
from airflow_mlops_provider.core.performance import MetricValue, evaluate
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.performance_segments import (
    MAX_SEGMENTS,
    Segment,
    heldout_segments,
    judge_segments,
    segments_of,
)
from airflow_mlops_provider.core.predictions import Predictions


def answers(right: dict[str, tuple[int, int]]) -> tuple[Predictions, list[Segment]]:
    """Rows of segments, of which so many of so many are predicted right; both classes are in each."""
    y, said, segments, start = [], [], [], 0
    for name, (hits, rows) in right.items():
        truth = np.arange(rows) % 2
        y.append(truth)
        said.append(np.where(np.arange(rows) < hits, truth, 1 - truth))
        segments.append(Segment(values={"plan": name}, rows=np.arange(start, start + rows)))
        start += rows
    made = Predictions(task="binary", labels=("n", "y"), y_true=np.concatenate(y), predicted=np.concatenate(said))
    return made, segments


def held_out(hits: int, rows: int) -> MetricValue:
    made, _ = answers({"all": (hits, rows)})
    return evaluate(made, metrics=["accuracy"])["accuracy"]


def judge(right: dict[str, tuple[int, int]], **arguments: Any) -> Any:
    made, segments = answers(right)
    given = {"reference": held_out(1_600, 2_000), "own": {}, "policy": PerformancePolicy(), **arguments}
    return judge_segments(made, segments, **given)


def test_the_worst_come_first_and_the_small_are_neither_good_nor_bad() -> None:
    found = judge({"good": (410, 500), "few": (1, 99), "bad": (300, 500), "worse": (200, 500), "tiny": (0, 4)})
    assert [one.segment["plan"] for one in found] == ["worse", "bad", "good", "few", "tiny"]
    assert [one.verdict for one in found] == ["drop", "drop", "no_drop", "insufficient_data", "insufficient_data"]
    assert found[3].reason == "99 labelled rows, 100 required"
    assert found[0].change.value.value == 0.4


def test_the_more_segments_are_looked_at_the_more_it_takes() -> None:
    alone = judge({"a": (151, 205)})
    among = judge({"a": (151, 205)} | {f"other {i}": (164, 205) for i in range(20)})
    (same,) = (one for one in among if one.segment["plan"] == "a")
    assert (alone[0].verdict, same.verdict) == ("drop", "no_drop")
    assert same.change.upper > alone[0].change.upper
    # Of those that are not judged, none counts.
    beside_small = judge({"a": (151, 205)} | {f"other {i}": (8, 10) for i in range(20)})
    assert beside_small[0].change.upper == pytest.approx(alone[0].change.upper)


def test_a_segment_that_was_always_hard_is_no_drop_where_its_own_value_is_known() -> None:
    hard = {"hard": (300, 500)}
    own = {(("plan", "hard"),): held_out(120, 200)}
    (against_all,), (against_own,) = judge(hard), judge(hard, own=own)
    assert (against_all.verdict, against_all.own_reference) == ("drop", False)
    assert (against_own.verdict, against_own.own_reference) == ("no_drop", True)


def test_a_segment_of_one_class_is_not_judged() -> None:
    made, _ = answers({"a": (200, 300)})
    ones = np.flatnonzero(made.y_true == 1)
    policy = PerformancePolicy(min_labelled_rows_per_class=5)
    (found,) = judge_segments(
        made, [Segment(values={"plan": "a"}, rows=ones)], reference=held_out(9, 10), own={}, policy=policy
    )
    assert (found.verdict, found.change) == ("insufficient_data", None)
    assert "'n': 0" in found.reason


def test_columns_alone_and_crossed_divide_the_rows() -> None:
    columns = {
        "plan": pa.chunked_array([["a", None, "a", "b"]]),
        "size": pa.chunked_array([pa.array([1.5, float("nan"), 1.5, None])]),
    }
    found, left_out = segments_of(columns, [["plan"], ["plan", "size"]])
    assert left_out == 0
    assert [(dict(one.values), one.rows.tolist()) for one in found] == [
        ({"plan": "a"}, [0, 2]),
        ({"plan": "(missing)"}, [1]),
        ({"plan": "b"}, [3]),
        ({"plan": "a", "size": "1.5"}, [0, 2]),
        ({"plan": "(missing)", "size": "(missing)"}, [1]),
        ({"plan": "b", "size": "(missing)"}, [3]),
    ]


def test_a_column_of_names_is_cut_to_the_largest_segments() -> None:
    column = pa.chunked_array([np.minimum(np.arange(1_000), 900).astype(str).tolist()])
    found, left_out = segments_of({"name": column}, [["name"]])
    assert (len(found), left_out) == (MAX_SEGMENTS, 901 - MAX_SEGMENTS)
    assert (found[0].values["name"], len(found[0].rows)) == ("900", 100)


def test_a_segment_s_interval_is_that_of_the_joint_level() -> None:
    first = judge({"a": (400, 500), "b": (400, 500)})[0].change
    reach = first.value.value - wilson(400, 500, confidence=0.95)[0]
    before = held_out(1_600, 2_000)
    # Bonferroni of two: the quantile of 97.5 % over that of 95 %.
    expected = 2.2414027 / 1.9599640 * (reach**2 + (before.upper - before.value) ** 2) ** 0.5
    assert first.difference - first.lower == pytest.approx(expected, rel=1e-6)


def test_held_out_rows_keep_the_values_of_features_with_few_values_and_enough_rows() -> None:
    made, _ = answers({"all": (320, 400)})
    columns = {
        "plan": pa.chunked_array([np.where(np.arange(400) < 300, "a", "b").tolist()]),
        "flag": pa.chunked_array([(np.arange(400) // 200).astype(float)]),
        "rare": pa.chunked_array([["x"] * 20 + ["y"] * 380]),
        "constant": pa.chunked_array([["x"] * 400]),
        "many": pa.chunked_array([(np.arange(400) % 21).tolist()]),
    }
    found = heldout_segments(made, columns, metric="accuracy")
    assert list(found) == [
        (("plan", "a"),), (("plan", "b"),), (("flag", "0"),), (("flag", "1"),), (("rare", "y"),)
    ]  # fmt: skip
    assert found[(("plan", "b"),)].value == pytest.approx(0.2)
    assert found[(("plan", "a"),)].n_rows == 300
