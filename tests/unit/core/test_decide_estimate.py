from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit

from airflow_mlops_provider.core.decide_estimate import decide_estimate
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.expected import Scored
from airflow_mlops_provider.core.predictions import Predictions

FAST = {"n_resamples": 100}
LABELS = ("no", "yes")


def scores_of(n: int, *, mean: float = -1.0, spread: float = 1.5, seed: int = 0) -> np.ndarray:
    return expit(np.random.default_rng(seed).normal(mean, spread, n))


def known(n: int = 2_000, *, truth=lambda scores: scores, seed: int = 1, **how) -> Predictions:
    scores = scores_of(n, seed=seed, **how)
    drawn = np.random.default_rng(seed + 100).random(n) < truth(scores)
    return Predictions(
        task="binary",
        labels=LABELS,
        y_true=drawn.astype(int),
        predicted=(scores > 0.5).astype(int),
        probabilities=np.column_stack([1 - scores, scores]),
    )


def now(scores: np.ndarray) -> Scored:
    return Scored(
        labels=LABELS, predicted=(scores > 0.5).astype(int), probabilities=np.column_stack([1 - scores, scores])
    )


def decide(reference: Predictions, current: Scored | None, metric: str = "roc_auc", **policy):
    return decide_estimate(reference, current, EstimatePolicy(**FAST, **policy), metric=metric)


def test_the_same_kind_of_rows_is_no_drop() -> None:
    report = decide(known(), now(scores_of(1_500)))
    assert report.verdict == "no_drop"
    assert set(report.estimates) >= {"roc_auc", "average_precision", "accuracy", "precision", "recall", "f1"}
    assert "roc_auc is estimated at" in report.reasons[0]
    assert (report.rows, report.reference_rows) == (1_500, 2_000)
    json.dumps(report.to_dict(), allow_nan=False)


def test_rows_that_are_harder_to_tell_apart_are_a_drop() -> None:
    report = decide(known(), now(scores_of(1_500, spread=0.7)))
    assert report.verdict == "drop"
    assert report.estimates["roc_auc"].difference_upper < 0
    assert "worse than the 0.02 allowed" in report.reasons[0]


def test_a_certain_change_that_is_too_small_to_matter_is_no_drop() -> None:
    harder = now(scores_of(1_500, spread=0.7))
    assert decide(known(), harder, max_drop=0.5).verdict == "no_drop"


def test_a_large_change_that_may_be_chance_is_no_drop() -> None:
    for seed in range(40):
        report = decide(known(200), now(scores_of(60, spread=1.2, seed=seed)), min_rows=50)
        one = report.estimates["roc_auc"]
        if one.difference <= -0.02 and one.difference_upper >= 0:
            assert report.verdict == "no_drop"
            assert "may be chance" in report.reasons[0]
            return
    pytest.fail("no such window among 40")


def test_the_metric_of_the_policy_is_judged_before_that_of_the_version() -> None:
    harder = now(scores_of(1_500, mean=0.0))
    policy = EstimatePolicy(metric="accuracy", **FAST)
    report = decide_estimate(known(), harder, policy, metric="roc_auc")
    assert (report.metric, report.verdict) == ("accuracy", "drop")


@pytest.mark.parametrize(
    ("reference", "current", "reason"),
    [
        (known(), None, "0 scored rows, 200 required"),
        (known(), now(scores_of(199)), "199 scored rows, 200 required"),
        (known(150), now(scores_of(500)), "150 held-out rows, 200 required"),
        (known(400, truth=lambda scores: scores * 0.02), now(scores_of(500)), "held-out rows of class 'yes', 20"),
        (known(), now(np.full(500, 0.3)), "all 500 scored rows have the same probabilities"),
        (known(truth=lambda scores: 1 - scores), now(scores_of(500)), "calibration fails"),
        (known(truth=lambda scores: np.abs(2 * scores - 1)), now(scores_of(500)), "calibration fails"),
        (known(), now(1 - scores_of(500) * 1e-4), "beyond all held-out ones"),
    ],
)
def test_what_an_estimate_would_rest_on_is_checked_first(reference, current, reason: str) -> None:
    report = decide(reference, current)
    assert report.verdict == "insufficient_data"
    assert reason in "; ".join(report.reasons)
    assert not report.estimates


def test_a_model_that_is_too_sure_is_no_reason_to_refuse() -> None:
    report = decide(known(truth=lambda scores: 0.3 + 0.2 * scores), now(scores_of(500)))
    assert report.verdict == "no_drop"
    assert report.calibration_error["model"] > 0.1
    assert report.calibration_error["calibrated"] < 0.05


def test_calibration_is_not_called_failed_by_chance() -> None:
    failed = [
        any("calibration fails" in one for one in decide(known(250, seed=seed), now(scores_of(250, seed=seed))).reasons)
        for seed in range(30)
    ]
    assert sum(failed) == 0


def test_a_metric_that_cannot_be_estimated_is_refused_with_those_that_can() -> None:
    with pytest.raises(InputError, match=r"calibration_error.*roc_auc"):
        decide(known(), now(scores_of(300)), metric="calibration_error")
    with pytest.raises(InputError, match="f1_macro"):
        decide(known(), now(scores_of(300)), metric="f1_macro")


def test_false_alarms_are_rare_while_nothing_changes() -> None:
    """With `max_drop=0` certainty alone decides: one-sided 2.5 per cent."""
    drops = [
        decide(known(500, seed=seed), now(scores_of(400, seed=seed + 500)), max_drop=0.0).verdict == "drop"
        for seed in range(60)
    ]
    # More than 5 of 60 have a chance of 0.5 % at 2.5 %.
    assert sum(drops) <= 5
