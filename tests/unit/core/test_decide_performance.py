from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from airflow_mlops_provider.core.decide_performance import decide_performance
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.label_join import LabelCounts
from airflow_mlops_provider.core.metric_change import Standard
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.performance_report import Coverage, PerformanceReport
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.scored_window import WindowCounts

RNG = np.random.default_rng(11)


def binary(rows: int, *, shift: float = 1.5, rng: np.random.Generator = RNG, probabilities: bool = True) -> Predictions:
    """Scores of a binormal model: the larger the shift, the better."""
    y = (rng.random(rows) < 0.3).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=rows) + shift * y - 1.2)))
    return Predictions(
        task="binary",
        labels=("stays", "leaves"),
        y_true=y,
        predicted=(p > 0.5).astype(int),
        probabilities=np.column_stack([1 - p, p]) if probabilities else None,
    )


def several(rows: int, *, noise: float = 1.0) -> Predictions:
    y = RNG.integers(0, 3, rows)
    scores = np.eye(3)[y] * 2 + noise * RNG.normal(size=(rows, 3))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Predictions(task="multiclass", labels=("a", "b", "c"), y_true=y, predicted=p.argmax(axis=1), probabilities=p)


def numbers(rows: int, *, noise: float = 1.0) -> Predictions:
    y = 10 + RNG.normal(size=rows) * 3
    return Predictions(task="regression", y_true=y, predicted=y + noise * RNG.normal(size=rows))


def standard_of(predictions: Predictions, metric: str) -> Standard:
    return Standard(task=predictions.task, metric=metric, values=evaluate(predictions))


def covering(rows: int, *, of: int | None = None, **changes: Any) -> Coverage:
    kept = rows if of is None else of
    return Coverage(version="3", **{
        "window": WindowCounts(rows=kept, kept=kept), "labels": LabelCounts(labels=rows, joined=rows), **changes
    })  # fmt: skip


def decide(window: Predictions | None, standard: Standard, **arguments: Any) -> PerformanceReport:
    rows = 0 if window is None else window.n_rows
    given = {"coverage": covering(rows), "policy": PerformancePolicy(), **arguments}
    return decide_performance(window, standard=standard, **given)


@pytest.mark.parametrize(
    ("before", "same", "worse", "metric"),
    [
        (binary(2_000), binary(1_000), binary(1_000, shift=0.4), "roc_auc"),
        (binary(2_000), binary(1_000), binary(1_000, shift=0.0), "log_loss"),
        (several(2_000), several(1_000), several(1_000, noise=2.5), "roc_auc"),
        (several(2_000), several(1_000), several(1_000, noise=2.5), "f1_macro"),
        (numbers(2_000), numbers(1_000), numbers(1_000, noise=1.5), "rmse"),
        (numbers(2_000), numbers(1_000), numbers(1_000, noise=1.5), "r2"),
    ],
)
def test_each_task_tells_a_worse_model_from_the_same(
    before: Predictions, same: Predictions, worse: Predictions, metric: str
) -> None:
    standard = standard_of(before, metric)
    quiet, dropped = decide(same, standard), decide(worse, standard)
    assert (quiet.verdict, dropped.verdict) == ("no_drop", "drop")
    assert dropped.changes[0].value.name == metric
    assert dropped.changes[0].difference < 0
    assert {one.value.name for one in dropped.changes} == set(standard.values)
    assert metric in dropped.reasons[0]


def test_the_policy_s_metric_decides_and_the_others_are_found_beside() -> None:
    standard = standard_of(binary(2_000), "roc_auc")
    worse = binary(1_000, shift=0.4)
    report = decide(worse, standard, policy=PerformancePolicy(metric="accuracy", max_drop=0.9))
    assert (report.metric, report.verdict) == ("accuracy", "no_drop")
    beside = {one.value.name: one for one in report.changes[1:]}
    assert beside["roc_auc"].is_drop
    assert beside["roc_auc"].floor == 0.02  # what the policy says is about accuracy


@pytest.mark.parametrize(
    ("window", "coverage", "reason"),
    [
        (None, covering(0, of=0, other_versions={"2": 40}), "version 3 scored none of these rows; .* 2 \\(40\\)"),
        (None, covering(0, window=WindowCounts(rows=9, immature=7, later=2)), "none of the 9 rows .* 7 were"),
        (None, covering(0, of=500, note="there are no labels: gone"), "there are no labels: gone"),
        (binary(300), covering(300, of=400), r"labels of 300 of 400 rows are known \(75.0%\), 80.0% required"),
        (binary(99), covering(99), "99 rows are labelled, 100 required"),
        (binary(110).take(slice(0, 1)), covering(1), "1 rows are labelled"),
    ],
)
def test_too_little_is_known_to_judge(window: Predictions | None, coverage: Coverage, reason: str) -> None:
    report = decide(window, standard_of(binary(2_000), "roc_auc"), coverage=coverage)
    assert report.verdict == "insufficient_data"
    assert report.changes == ()
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError("; ".join(report.reasons))


def test_one_class_alone_is_too_little_whatever_the_minimum() -> None:
    standard = standard_of(binary(2_000), "roc_auc")
    made = binary(400)
    only = made.take(np.flatnonzero(made.y_true == 0))
    report = decide(only, standard)
    assert report.verdict == "insufficient_data"
    assert "'leaves': 0; 10 of each required" in report.reasons[0]
    lax = decide(only, standard, policy=PerformancePolicy(min_labelled_rows_per_class=0))
    assert lax.verdict == "insufficient_data"
    assert "roc_auc is undefined" in lax.reasons[0]
    # A share of right answers needs no second class.
    policy = PerformancePolicy(metric="accuracy", min_labelled_rows_per_class=0)
    judged = decide(only, standard, policy=policy)
    assert judged.verdict == "no_drop"
    assert "roc_auc" in judged.undefined


def test_what_the_rows_or_the_version_lack_is_refused() -> None:
    standard = standard_of(binary(2_000), "roc_auc")
    with pytest.raises(InputError, match=r"roc_auc cannot be computed .* one of accuracy"):
        decide(binary(300, probabilities=False), standard)
    with pytest.raises(InputError, match="no value of 'rmse'"):
        decide(binary(300), standard, policy=PerformancePolicy(metric="rmse"))
    with pytest.raises(InputError, match="max_drop for roc_auc"):
        decide(binary(300), standard, policy=PerformancePolicy(max_drop=3))


def test_a_report_is_plain_json() -> None:
    import json

    report = decide(binary(300), standard_of(binary(2_000), "roc_auc"))
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["verdict"] == report.verdict
    assert plain["coverage"]["labelled_share"] == 1.0
