from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.training.baseline import Baseline


def test_the_baseline_of_classes_is_their_shares() -> None:
    baseline = Baseline.of(np.array([0, 0, 0, 1]), task="binary")
    assert baseline.constants == (0.75, 0.25)
    said = baseline.predict(np.array([1, 0]), labels=("no", "yes"))
    assert said.probabilities.tolist() == [[0.75, 0.25]] * 2
    assert said.predicted.tolist() == [0, 0]


def test_the_baseline_ranks_nothing() -> None:
    said = Baseline.of(np.array([0, 0, 1]), task="binary").predict(np.array([0, 1, 0, 1]), labels=("no", "yes"))
    assert evaluate(said, metrics=["roc_auc"])["roc_auc"].value == 0.5


def test_the_baseline_of_a_regression_is_the_mean_and_explains_nothing() -> None:
    values = np.array([1.0, 2.0, 6.0] * 20)
    baseline = Baseline.of(values, task="regression")
    assert baseline.constants == (3.0,)
    assert evaluate(baseline.predict(values, labels=()), metrics=["r2"])["r2"].value == pytest.approx(0.0)
