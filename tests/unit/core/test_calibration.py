from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from airflow_mlops_provider.core.calibration import fit_calibration


def learn(scores: np.ndarray, truth: np.ndarray):
    distinct, place = np.unique(scores, return_inverse=True)
    return fit_calibration(
        distinct, positives=np.bincount(place, weights=truth), rows=np.bincount(place).astype(np.float64)
    )


def drawn(
    n: int, *, mean: float = -1.0, slope: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, truth, and the true probabilities."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(mean, 1.5, n)
    return expit(slope * odds), (rng.random(n) < expit(odds)).astype(float), expit(odds)


@pytest.mark.parametrize("slope", [0.4, 1.0, 2.5])
def test_what_a_score_means_is_learned_whatever_the_scale_of_the_model(slope: float) -> None:
    scores, truth, probabilities = drawn(20_000, slope=slope)
    assert np.abs(learn(scores, truth)(scores) - probabilities).mean() < 0.012


def test_expected_positives_are_the_known_ones_where_it_was_learned() -> None:
    scores, truth, _ = drawn(2_000)
    assert learn(scores, truth)(scores).mean() == pytest.approx(truth.mean(), abs=0.005)


def test_a_greater_score_never_means_less() -> None:
    scores, truth, _ = drawn(300, seed=3)
    steps = np.diff(learn(scores, truth)(np.linspace(0, 1, 1_000)))
    assert steps.min() >= 0
    assert steps.max() > 0


def test_a_score_beyond_all_known_ones_means_what_the_nearest_mean() -> None:
    scores, truth, _ = drawn(1_000)
    known = learn(scores, truth)
    assert known(np.array([0.0]))[0] == known(np.array([scores.min()]))[0]
    assert known(np.array([1.0]))[0] == known(np.array([scores.max()]))[0]


def test_the_lines_go_on_to_the_outermost_known_scores() -> None:
    scores = np.linspace(0.005, 0.995, 100)
    known = fit_calibration(scores, positives=4 * scores, rows=np.full(100, 4.0))
    # The mean of the last of 18 bins is about 0.03 less than its end.
    assert known(scores[[0, -1]]) == pytest.approx(scores[[0, -1]], abs=0.01)


def test_a_rare_class_has_bins_of_its_own() -> None:
    scores, truth, probabilities = drawn(100_000, mean=-5.0)
    assert truth.mean() < 0.03
    top = scores > 0.3
    # With bins of equal numbers of rows these few would share one bin, with a mean of about 0.1.
    assert learn(scores, truth)(scores)[top].mean() == pytest.approx(probabilities[top].mean(), abs=0.05)


def test_a_score_that_falls_where_the_probability_rises_means_nothing() -> None:
    scores, truth, _ = drawn(2_000)
    assert np.ptp(learn(1 - scores, truth)(scores)) < 1e-9


def test_rows_may_be_counted_or_single() -> None:
    scores, truth = np.array([0.1, 0.1, 0.5, 0.5, 0.5, 0.9] * 20), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0] * 20)
    counted = fit_calibration(
        np.array([0.1, 0.5, 0.9]), positives=np.array([20.0, 40.0, 20.0]), rows=np.array([40.0, 60.0, 20.0])
    )
    assert learn(scores, truth)(scores) == pytest.approx(counted(scores))
