"""Predictions are checked once, so that metrics need not."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions

BINARY = {"task": "binary", "labels": ("no", "yes"), "y_true": [0, 1, 1], "predicted": [0, 1, 0]}
THREE = {"task": "multiclass", "labels": ("a", "b", "c"), "y_true": [0, 1, 2], "predicted": [0, 1, 2]}
NUMBERS = {"task": "regression", "y_true": [1.0, 2.0, 3.0], "predicted": [1.0, 2.0, 2.0]}


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (
            BINARY,
            {"task": "ranking"},
            "task of Predictions must be one of binary, multiclass, regression; got 'ranking'",
        ),
        (BINARY, {"labels": ("yes",)}, "labels of binary"),
        (BINARY, {"labels": ("yes", "yes")}, "distinct"),
        (THREE, {"labels": ("a", "b")}, "at least 3 for multiclass"),
        (NUMBERS, {"labels": ("a", "b")}, "none for regression"),
        (BINARY, {"y_true": [], "predicted": []}, "at least one row; got 0"),
        (NUMBERS, {"y_true": [], "predicted": []}, "at least one row; got 0"),
        (BINARY, {"predicted": [0, 1]}, r"predicted of Predictions must have shape \(3,\)"),
        (BINARY, {"y_true": [0, 1, 2]}, "codes from 0 to 1.*got 0 to 2"),
        (BINARY, {"y_true": [-1, 1, 1]}, "got -1 to 1"),
        (BINARY, {"y_true": [0.0, 1.0, 1.0]}, "integer class codes; got float64"),
        (BINARY, {"y_true": ["no", "yes", "yes"]}, "integer class codes"),
        (BINARY, {"y_true": [[0, 1, 1]]}, "one-dimensional"),
        (NUMBERS, {"y_true": [[1.0, 2.0, 3.0]]}, "one-dimensional"),
        (NUMBERS, {"predicted": [1.0, float("nan"), 3.0]}, "predicted of Predictions must be finite; row 1 is nan"),
        (NUMBERS, {"y_true": [1.0, 2.0, float("inf")]}, "y_true of Predictions must be finite; row 2 is inf"),
        (NUMBERS, {"predicted": ["a", "b", "c"]}, "predicted of Predictions must be numbers"),
        (BINARY, {"probabilities": [[0.5, 0.5]] * 2}, r"probabilities of Predictions must have shape \(3, 2\)"),
        (BINARY, {"probabilities": [0.1, 0.2, 0.3]}, r"must have shape \(3, 2\)"),
        (BINARY, {"probabilities": [[0.5, 0.5], [1.2, -0.2], [0.5, 0.5]]}, r"must be in \[0, 1\]; got 1.2"),
        (BINARY, {"probabilities": [[0.5, 0.5], [0.5, 0.1], [0.5, 0.5]]}, "row 1 sums to 0.6.*pass decision values"),
        (BINARY, {"probabilities": [[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]]}, "must be finite; row 1"),
        (BINARY, {"margins": [1.0, 2.0]}, r"margins of Predictions must have shape \(3,\)"),
        (THREE, {"margins": [1.0, 2.0, 3.0]}, r"margins of Predictions must have shape \(3, 3\)"),
        (BINARY, {"margins": [1.0, 2.0, 3.0], "probabilities": [[0.5, 0.5]] * 3}, "exclude margins"),
        (NUMBERS, {"margins": [1.0, 2.0, 3.0]}, "belong to classifiers"),
        (NUMBERS, {"probabilities": [[0.5, 0.5]] * 3}, "a regression has neither"),
    ],
)
def test_what_no_metric_could_use_is_refused(base, change, message):
    with pytest.raises(InputError, match=message):
        Predictions(**(base | change))


def test_float32_probabilities_that_sum_to_nearly_1_are_taken():
    raw = np.random.default_rng(0).random((3, 2)).astype(np.float32)
    Predictions(**BINARY, probabilities=raw / raw.sum(axis=1, keepdims=True))


def test_the_callers_arrays_are_neither_copied_nor_changed_nor_made_read_only():
    y_true = np.array([0, 1, 1])
    held = Predictions(**(BINARY | {"y_true": y_true}))
    assert np.shares_memory(held.y_true, y_true)
    assert y_true.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        held.y_true[0] = 1


def test_classes_are_counted_by_name_even_when_absent():
    assert Predictions(**(THREE | {"y_true": [0, 0, 2]})).class_counts() == {"a": 2, "b": 0, "c": 1}
    assert Predictions(**NUMBERS).class_counts() == {}


def test_margins_rank_by_each_class():
    margins = np.array([-1.0, 2.0, 0.5])
    scores = Predictions(**BINARY, margins=margins).class_scores()
    assert scores.tolist() == np.column_stack([-margins, margins]).tolist()


def test_a_model_without_scores_says_what_it_lacks():
    bare = Predictions(**BINARY)
    with pytest.raises(InputError, match=r"neither class probabilities nor decision values.*Hint"):
        bare.class_scores()
    with pytest.raises(InputError, match=r"no class probabilities.*Hint: calibrate"):
        bare.require_probabilities()
