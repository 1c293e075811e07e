from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance import compare
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.shadow import agreement, pooled, record

RNG = np.random.default_rng(0)


def window(seed: int, blur: float, rows: int = 120) -> Predictions:
    shared = np.random.default_rng(seed)
    truth = shared.random(rows)
    y_true = (shared.random(rows) < truth).astype(int)
    positive = np.clip(truth + blur * np.random.default_rng(seed + 99).normal(size=rows), 0, 1)
    return Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=y_true,
        predicted=(positive > 0.5).astype(int),
        probabilities=np.column_stack([1 - positive, positive]),
    )


def test_agreement_is_what_its_definitions_say() -> None:
    first, second = RNG.random(200).round(1), RNG.random(200).round(1)
    found = agreement(champion=first > 0.5, shadow=second > 0.5, champion_scores=first, shadow_scores=second)
    assert found.agreement == pytest.approx(np.mean((first > 0.5) == (second > 0.5)))
    assert found.rank_correlation == pytest.approx(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
    assert found.mean_shift == pytest.approx(second.mean() - first.mean())
    assert found.score_distance == pytest.approx(np.abs(np.sort(first) - np.sort(second)).mean())


def test_a_constant_score_has_no_rank_correlation() -> None:
    found = agreement(
        champion=np.array([1, 0]),
        shadow=np.array([1, 1]),
        champion_scores=np.array([0.7, 0.2]),
        shadow_scores=np.array([0.6, 0.6]),
    )
    assert found.rank_correlation is None
    assert found.agreement == 0.5


def test_values_of_a_regression_are_its_scores() -> None:
    found = agreement(
        champion=np.array([1, 2, 3]),
        shadow=np.array([2, 3, 4]),
        champion_scores=None,
        shadow_scores=None,
        is_regression=True,
    )
    assert (found.agreement, found.mean_shift, found.rank_correlation) == (None, 1.0, pytest.approx(1.0))


def test_other_rows_are_not_compared() -> None:
    with pytest.raises(InputError, match="same rows"):
        agreement(champion=np.array([1]), shadow=np.array([1, 2]), champion_scores=None, shadow_scores=None)


def test_windows_are_judged_together_as_one_sample() -> None:
    pairs = [(window(seed, 0.5), window(seed, 0.05)) for seed in range(4)]
    found = record(pairs, metric="roc_auc")
    whole = compare(
        challenger=pooled([shadow for _, shadow in pairs]),
        champion=pooled([champion for champion, _ in pairs]),
        metric="roc_auc",
    )
    assert (found.windows, found.rows) == (4, 480)
    assert found.difference == whole
    assert found.difference.lower > 0


def test_more_windows_make_the_interval_narrower() -> None:
    pairs = [(window(seed, 0.4), window(seed, 0.3)) for seed in range(12)]
    few, many = record(pairs[:2], metric="roc_auc").difference, record(pairs, metric="roc_auc").difference
    assert many.upper - many.lower < 0.6 * (few.upper - few.lower)


def test_what_cannot_be_compared_says_why() -> None:
    assert "no labelled windows" in record([], metric="roc_auc").reason
    one_class = Predictions(task="binary", labels=("no", "yes"), y_true=[0, 0], predicted=[0, 1])
    found = record([(one_class, one_class)], metric="accuracy")
    assert found.rows == 2
    assert record([(one_class, one_class)], metric="roc_auc").difference is None
