"""Claims about long runs, by simulation with fixed seeds: false alarms where nothing changed, and power where it did.

The bounds of the assertions are the claimed rate give or take four standard errors of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from airflow_mlops_provider.core.metric_change import metric_change, value_of
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.performance_segments import Segment, judge_segments
from airflow_mlops_provider.core.predictions import Predictions

ROUNDS = 500
ANY = PerformancePolicy(max_drop=0.0)


def tolerance(rate: float, rounds: int = ROUNDS) -> float:
    return 4 * float(np.sqrt(rate * (1 - rate) / rounds))


def binormal(rng: np.random.Generator, rows: int, shift: float) -> Predictions:
    y = (rng.random(rows) < 0.27).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=rows) + shift * y - 1.0)))
    return Predictions(
        task="binary", labels=("n", "y"), y_true=y, predicted=(p > 0.5).astype(int),
        probabilities=np.column_stack([1 - p, p]),
    )  # fmt: skip


def prices(rng: np.random.Generator, rows: int, noise: float) -> Predictions:
    y = rng.lognormal(size=rows)
    return Predictions(task="regression", y_true=y, predicted=y + noise * rng.standard_t(6, size=rows))


def alarms(
    draw: Callable[..., Predictions],
    metric: str,
    before: float,
    now: float,
    rows: int,
    *,
    floor: float = 0.0,
    rounds: int = ROUNDS,
) -> float:
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(rounds):
        reference = value_of(draw(rng, 1_400, before), metric, ANY)
        current = value_of(draw(rng, rows, now), metric, ANY)
        found += metric_change(current, reference, floor=floor, confidence=0.95).is_drop
    return found / rounds


@pytest.mark.parametrize(
    ("draw", "metric", "strength", "rows"),
    [
        (binormal, "roc_auc", 1.4, 100),
        (binormal, "roc_auc", 1.4, 1_500),
        (binormal, "accuracy", 1.4, 150),
        (binormal, "average_precision", 1.4, 400),
        (binormal, "f1", 1.4, 400),
        (binormal, "log_loss", 1.4, 300),
        (prices, "rmse", 1.0, 300),
    ],
)
def test_where_nothing_changed_an_alarm_is_as_rare_as_promised(
    draw: Callable[..., Predictions], metric: str, strength: float, rows: int
) -> None:
    # The bootstrap takes its time.
    rounds = 150 if metric in ("log_loss", "rmse") else ROUNDS
    found = alarms(draw, metric, strength, strength, rows, rounds=rounds)
    assert found <= 0.025 + tolerance(0.025, rounds)


def test_a_real_drop_is_found_as_often_as_the_normal_approximation_says() -> None:
    # From 0.839 to 0.760, areas of shifts 1.4 and 1.0.
    gap = stats.norm.cdf(1.4 / np.sqrt(2)) - stats.norm.cdf(1.0 / np.sqrt(2))
    rng = np.random.default_rng(6)
    values = [
        (
            value_of(binormal(rng, 1_400, 1.4), "roc_auc", ANY).value,
            value_of(binormal(rng, 500, 1.0), "roc_auc", ANY).value,
        )
        for _ in range(ROUNDS)
    ]
    spread = float(np.std([one - other for one, other in values]))
    expected = stats.norm.sf(1.96 - gap / spread)
    assert expected > 0.8
    assert alarms(binormal, "roc_auc", 1.4, 1.0, 500) == pytest.approx(expected, abs=2 * tolerance(expected))


def test_a_drop_too_small_to_matter_is_none_although_it_shows() -> None:
    # From 0.839 to 0.816: half of what matters.
    assert alarms(binormal, "roc_auc", 1.4, 1.27, 5_000) > 0.2
    assert alarms(binormal, "roc_auc", 1.4, 1.27, 5_000, floor=0.06) <= 0.01


def test_over_all_segments_together_an_alarm_is_as_rare_as_promised() -> None:
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(ROUNDS):
        reference = value_of(binormal(rng, 5_000, 1.4), "roc_auc", ANY)
        window = binormal(rng, 1_600, 1.4)
        parts = [Segment(values={"part": str(i)}, rows=np.arange(i * 200, i * 200 + 200)) for i in range(8)]
        results = judge_segments(window, parts, reference=reference, own={}, policy=ANY)
        found += any(one.verdict == "drop" for one in results)
    assert found / ROUNDS <= 0.025 + tolerance(0.025)
