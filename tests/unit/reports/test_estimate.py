from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.decide_estimate import decide_estimate
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.expected import Scored
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.reports.estimate import estimate_figures, estimate_report

RNG = np.random.default_rng(0)
ABOUT = {"title": "Version 1 of model '<b>'", "window_end": "2026-02-28", "Predictions": "a.parquet"}


def sides(n_classes: int, rows: int = 400) -> tuple[Predictions, Scored]:
    labels = tuple("abcd"[:n_classes])
    before, now = (RNG.dirichlet(np.ones(n_classes), rows) for _ in range(2))
    truth = (before.cumsum(axis=1) > RNG.random((rows, 1))).argmax(axis=1)
    return (
        Predictions(
            task="binary" if n_classes == 2 else "multiclass",
            labels=labels,
            y_true=truth,
            predicted=before.argmax(axis=1),
            probabilities=before,
        ),
        Scored(labels=labels, predicted=now.argmax(axis=1), probabilities=now),
    )


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_report_shows_every_metric_and_escapes_names(n_classes: int) -> None:
    reference, current = sides(n_classes)
    report = decide_estimate(reference, current, EstimatePolicy(n_resamples=100), metric="roc_auc")
    page = estimate_report(report, reference=reference, current=current, about=ABOUT)
    for name in report.estimates:
        assert f"<code>{name}</code>" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert report.reasons[0] in page


def test_without_rows_there_is_a_report_without_pictures() -> None:
    reference, _ = sides(2)
    report = decide_estimate(reference, None, EstimatePolicy(), metric="roc_auc")
    assert estimate_figures(report, reference, None) == {}
    page = estimate_report(report, reference=reference, current=None, about=ABOUT)
    assert "0 scored rows, 200 required" in page


def test_figures_are_the_same_for_the_same_rows() -> None:
    reference, current = sides(2)
    report = decide_estimate(reference, current, EstimatePolicy(n_resamples=100), metric="roc_auc")
    assert len(estimate_figures(report, reference, current)) == 3
    assert estimate_figures(report, reference, current) == estimate_figures(report, reference, current)
