"""Claims about long runs, by simulation with fixed seeds: coverage of intervals, false alarms of comparisons.

The bounds of the assertions are the claimed rate give or take four standard errors of the simulation.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from airflow_mlops_provider.core.performance import compare, evaluate
from airflow_mlops_provider.core.predictions import Predictions

SHIFT, PREVALENCE = 1.2, 0.3
ROUNDS = 400
TOLERANCE = 4 * np.sqrt(0.05 * 0.95 / ROUNDS)


def _draw(rng, rows, models=1):
    """Correlated scores, each normal with the positive class shifted, as calibrated probabilities."""
    y = (rng.random(rows) < PREVALENCE).astype(int)
    common = rng.normal(size=rows)
    made = []
    for _ in range(models):
        x = np.sqrt(0.5) * common + np.sqrt(0.5) * rng.normal(size=rows) + SHIFT * y
        p = 1 / (1 + (1 - PREVALENCE) / PREVALENCE * np.exp(-SHIFT * x + SHIFT**2 / 2))
        made.append(
            Predictions(
                task="binary",
                labels=("no", "yes"),
                y_true=y,
                predicted=(p >= 0.5).astype(int),
                probabilities=np.column_stack([1 - p, p]),
            )
        )
    return made


def _truth():
    """Closed forms of the binormal model where there are any, else one very large sample."""
    cut = (np.log((1 - PREVALENCE) / PREVALENCE) + SHIFT**2 / 2) / SHIFT
    recall, false_alarms = stats.norm.sf(cut - SHIFT), stats.norm.sf(cut)
    positive = PREVALENCE * recall + (1 - PREVALENCE) * false_alarms
    large = evaluate(_draw(np.random.default_rng(99), 1_000_000)[0], n_resamples=100)
    return {
        "roc_auc": stats.norm.cdf(SHIFT / np.sqrt(2)),
        "accuracy": PREVALENCE * recall + (1 - PREVALENCE) * (1 - false_alarms),
        "balanced_accuracy": (recall + 1 - false_alarms) / 2,
        "precision": PREVALENCE * recall / positive,
        "recall": recall,
        "f1": 2 * PREVALENCE * recall / (positive + PREVALENCE),
        **{name: large[name].value for name in ("average_precision", "log_loss", "brier_score")},
    }


@pytest.fixture(scope="module")
def coverage():
    truth, rng = _truth(), np.random.default_rng(20)
    covered = dict.fromkeys(truth, 0)
    calibrated = 0
    for seed in range(ROUNDS):
        found = evaluate(_draw(rng, 250)[0], n_resamples=400, seed=seed)
        for name, value in truth.items():
            covered[name] += found[name].lower <= value <= found[name].upper
        # A calibrated model's error is 0, or nearly: what differs within a bin remains.
        calibrated += found["calibration_error"].lower <= 0.002
    return {name: count / ROUNDS for name, count in covered.items()}, calibrated / ROUNDS


def test_95_percent_intervals_hold_the_truth_95_times_in_100(coverage):
    rates, _ = coverage
    assert rates == {name: pytest.approx(0.95, abs=TOLERANCE) for name in rates}


def test_a_calibrated_model_is_seldom_accused(coverage):
    assert coverage[1] >= 0.975 - TOLERANCE


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy", "f1", "log_loss"])
def test_of_two_equal_models_either_seems_better_2_to_3_times_in_100(metric):
    rng = np.random.default_rng(30)
    better = worse = 0
    for seed in range(ROUNDS):
        a, b = _draw(rng, 250, models=2)
        found = compare(challenger=a, champion=b, metric=metric, n_resamples=400, seed=seed)
        better, worse = better + (found.lower > 0), worse + (found.upper < 0)
    tolerance = 4 * np.sqrt(0.025 * 0.975 / ROUNDS)
    assert better / ROUNDS <= 0.025 + tolerance
    assert worse / ROUNDS <= 0.025 + tolerance
    # Far fewer would mean that real improvements are missed as well.
    assert (better + worse) / ROUNDS >= 0.01


def test_the_area_over_several_classes_is_covered_too():
    """Three classes on a line, one score each; the truth is the mean of three areas from one large sample."""

    def draw(rng, rows):
        y = rng.integers(0, 3, rows)
        scores = -((rng.normal(size=rows)[:, None] * 0.8 + y[:, None] - np.arange(3)) ** 2)
        return Predictions(
            task="multiclass", labels=("a", "b", "c"), y_true=y, predicted=scores.argmax(axis=1), margins=scores
        )

    truth = evaluate(draw(np.random.default_rng(9), 1_000_000), metrics=["roc_auc"])["roc_auc"].value
    rng, covered = np.random.default_rng(40), 0
    for _ in range(ROUNDS):
        found = evaluate(draw(rng, 120), metrics=["roc_auc"])["roc_auc"]
        covered += found.lower <= truth <= found.upper
    assert covered / ROUNDS == pytest.approx(0.95, abs=TOLERANCE)
