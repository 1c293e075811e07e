"""The table of metrics."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import (
    METRICS,
    check_defined,
    default_metric,
    find,
    greater_is_better,
    metric_names,
    supported,
)
from airflow_mlops_provider.core.predictions import Predictions

TASKS = ("binary", "multiclass", "regression")


def test_every_metric_belongs_to_a_task_and_every_task_has_its_usual_default():
    assert {name for task in TASKS for name in metric_names(task)} == set(METRICS)
    assert [default_metric(task) for task in TASKS] == ["roc_auc", "roc_auc", "rmse"]


def test_errors_and_losses_are_better_when_smaller():
    smaller = {name for name in METRICS if not greater_is_better(name)}
    assert smaller == {"log_loss", "brier_score", "calibration_error", "rmse", "mae"}


@pytest.mark.parametrize("name", ["rocauc", "", None, 3, ["roc_auc"], {"metric": "roc_auc"}])
def test_an_unknown_metric_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match=r"Unknown metric .* Known: accuracy, .*roc_auc"):
        find(name)


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(InputError, match=r"Unknown regression metric 'roc_auc'\. Known: mae, r2, rmse"):
        find("roc_auc", task="regression")


def _binary(y_true, **scores):
    return Predictions(task="binary", labels=("stays", "leaves"), y_true=y_true, predicted=y_true, **scores)


def test_the_output_of_a_model_decides_which_metrics_it_has():
    classes = {"accuracy", "balanced_accuracy", "precision", "recall", "f1"}
    assert set(supported(_binary([0, 1]))) == classes
    assert set(supported(_binary([0, 1], margins=[0.0, 1.0]))) == classes | {"roc_auc", "average_precision"}
    assert set(supported(_binary([0, 1], probabilities=np.eye(2)))) == set(metric_names("binary"))


@pytest.mark.parametrize(
    ("metric", "y_true", "lacking"),
    [
        ("roc_auc", [0, 0, 0], "at least 2 of class 'leaves'.*'stays': 3, 'leaves': 0"),
        ("roc_auc", [0, 0, 1], "at least 2 of class 'leaves'"),
        ("average_precision", [1, 1, 1], "at least 2 of class 'stays'"),
        ("balanced_accuracy", [1, 1, 1], "at least 1 of class 'stays'"),
        ("recall", [0, 0], "at least 1 of class 'leaves'"),
        ("precision", [0, 0], "at least 1 of class 'leaves'"),
        ("f1", [0, 0], "at least 1 of class 'leaves'"),
        ("log_loss", [1], "log_loss has no interval on 1 row"),
    ],
)
def test_undefined_metrics_name_the_class_counts(metric, y_true, lacking):
    with pytest.raises(InputError, match=lacking):
        check_defined(METRICS[metric], _binary(y_true))


def test_a_constant_target_has_no_r2():
    constant = Predictions(task="regression", y_true=[2.5, 2.5, 2.5], predicted=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"r2 is undefined on these 3 rows: the target is 2\.5 in all"):
        check_defined(METRICS["r2"], constant)
