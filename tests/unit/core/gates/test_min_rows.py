"""Enough rows were judged."""

from __future__ import annotations

from airflow_mlops_provider.core.gates.min_rows import MinRows
from airflow_mlops_provider.core.gating import Evidence
from airflow_mlops_provider.core.predictions import Predictions


def few(labels, y_true):
    return Predictions(
        task="binary" if len(labels) == 2 else "multiclass", labels=labels, y_true=y_true, predicted=y_true
    )


def test_the_count_of_rows_decides(binary):
    evidence = Evidence(challenger=binary(1), rows_left_out=12)
    assert MinRows(rows=600).judge(evidence).passed
    result = MinRows(rows=601).judge(evidence)
    assert not result.passed
    assert "600 rows judged, 601 required" in result.message
    assert "12 left out because a model was trained on them" in result.message


def test_every_class_must_have_enough():
    y_true = [0] * 50 + [1] * 4
    assert MinRows(rows_per_class=4).judge(Evidence(challenger=few(("no", "yes"), y_true))).passed
    result = MinRows(rows_per_class=5).judge(Evidence(challenger=few(("no", "yes"), y_true)))
    assert not result.passed
    assert result.observed["rows_by_class"] == {"no": 50, "yes": 4}


def test_a_class_that_is_absent_fails():
    y_true = [0] * 50 + [1] * 50
    assert not MinRows(rows_per_class=1).judge(Evidence(challenger=few(("a", "b", "c"), y_true))).passed


def test_a_regression_has_no_classes(regression):
    result = MinRows().judge(Evidence(challenger=regression(1)))
    assert result.passed
    assert "class" not in result.message
