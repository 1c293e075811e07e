"""Formulas over sums: one value, a stack of resamples, and scikit-learn's conventions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from airflow_mlops_provider.core import metric_sums
from airflow_mlops_provider.core.predictions import Predictions

CODES = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[hnp.arrays(np.int64, n, elements=st.integers(0, 2)) for _ in range(2)])
)


@given(CODES)
def test_precision_and_f1_follow_scikit_learn_also_for_classes_never_predicted(codes):
    true, predicted = codes
    sums = metric_sums.confusion_contributions(true, predicted, 3).sum(axis=0)
    options = {"labels": [0, 1, 2], "average": None, "zero_division": 0.0}
    assert metric_sums.precisions(sums) == pytest.approx(sk.precision_score(true, predicted, **options))
    assert metric_sums.f1s(sums) == pytest.approx(sk.f1_score(true, predicted, **options))
    expected = sk.recall_score(true, predicted, labels=[0, 1, 2], average=None, zero_division=np.nan)
    assert metric_sums.recalls(sums) == pytest.approx(expected, nan_ok=True)
    assert metric_sums.accuracy(sums) == pytest.approx(sk.accuracy_score(true, predicted))


def test_formulas_take_a_stack_of_sums_at_once():
    stack = np.random.default_rng(0).integers(0, 9, size=(50, 9)).astype(float)
    for formula in (metric_sums.recalls, metric_sums.precisions, metric_sums.f1s, metric_sums.accuracy):
        assert formula(stack) == pytest.approx(np.array([formula(one) for one in stack]), nan_ok=True)


def test_calibration_error_is_the_mean_gap_of_scikit_learns_quantile_bins():
    rng = np.random.default_rng(3)
    score = rng.random(1000)
    y_true = (rng.random(1000) < score**2).astype(int)
    predictions = Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=y_true,
        predicted=(score > 0.5).astype(int),
        probabilities=np.column_stack([1 - score, score]),
    )
    found = metric_sums.calibration_error(metric_sums.binned_residuals(predictions).sum(axis=0))
    # 1,000 distinct scores in 10 bins of equal mass: every bin weighs the same.
    observed, predicted = calibration_curve(y_true, score, n_bins=10, strategy="quantile")
    assert found == pytest.approx(np.abs(observed - predicted).mean(), rel=1e-9)


def test_equal_scores_share_a_calibration_bin():
    """By hand: one bin, 30 of 100 positive, 0.5 predicted."""
    predictions = Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=[1] * 30 + [0] * 70,
        predicted=[1] * 100,
        probabilities=np.full((100, 2), 0.5),
    )
    found = metric_sums.calibration_error(metric_sums.binned_residuals(predictions).sum(axis=0))
    assert found == pytest.approx(0.2)


def test_r2_keeps_its_digits_far_from_zero():
    target = 1e9 + np.random.default_rng(0).normal(size=500)
    predicted = target + np.random.default_rng(1).normal(size=500) / 2
    predictions = Predictions(task="regression", y_true=target, predicted=predicted)
    found = metric_sums.r2(metric_sums.variance_terms(predictions).sum(axis=0))
    assert found == pytest.approx(sk.r2_score(target, predicted), rel=1e-9)
