"""Whether the intervals of an estimate hold what they promise, by simulation on data whose assumption is true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from airflow_mlops_provider.core.estimate import estimate
from airflow_mlops_provider.core.expected import Scored
from airflow_mlops_provider.core.predictions import Predictions

REPEATS = 50
NAMES = ["roc_auc", "accuracy", "recall"]


def realised(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    predicted = scores > 0.5
    return {
        "roc_auc": roc_auc_score(truth, scores),
        "accuracy": accuracy_score(truth, predicted),
        "recall": recall_score(truth, predicted),
    }


def sample(rng: np.random.Generator, n: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    latent = rng.normal(mean, 1.5, n)
    return expit(1.4 * latent), (rng.random(n) < expit(latent)).astype(int)


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_realised_values_and_true_changes_lie_in_the_intervals_as_often_as_promised(shift: float) -> None:
    rng = np.random.default_rng(17)
    before, after = (realised(*sample(rng, 300_000, mean)[::-1]) for mean in (-1.0, -1.0 + shift))
    inside: dict[str, list[bool]] = {name: [] for name in NAMES}
    change_inside: dict[str, list[bool]] = {name: [] for name in NAMES}
    for seed in range(REPEATS):
        known, truth = sample(rng, 800, -1.0)
        now, later = sample(rng, 500, -1.0 + shift)
        found = estimate(
            Predictions(
                task="binary",
                labels=("no", "yes"),
                y_true=truth,
                predicted=(known > 0.5).astype(int),
                probabilities=np.column_stack([1 - known, known]),
            ),
            Scored(
                labels=("no", "yes"),
                predicted=(now > 0.5).astype(int),
                probabilities=np.column_stack([1 - now, now]),
            ),
            metrics=NAMES,
            n_resamples=100,
            seed=seed,
        )
        for name, value in realised(later, now).items():
            one = found[name]
            inside[name].append(one.lower <= value <= one.upper)
            change_inside[name].append(one.difference_lower <= after[name] - before[name] <= one.difference_upper)
    for name in NAMES:
        # 0.95 in 50 repeats has a standard error of 0.031.
        assert np.mean(inside[name]) >= 0.86, name
        assert np.mean(change_inside[name]) >= 0.86, name
    everything = [one for kind in (inside, change_inside) for values in kind.values() for one in values]
    assert 0.91 <= np.mean(everything) <= 0.99
