from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.decide_performance import decide_performance
from airflow_mlops_provider.core.label_join import LabelCounts
from airflow_mlops_provider.core.metric_change import Standard
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.performance_report import Coverage, PerformanceReport
from airflow_mlops_provider.core.performance_segments import segments_of
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.scored_window import WindowCounts
from airflow_mlops_provider.reports.performance import performance_report, pictures

ABOUT = {"title": "Version 3 of model 'churn'", "window_end": "2026-03-31", "Predictions": "file:///scores.parquet"}


def made(rows: int, shift: float, *, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.3).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=rows) + shift * y - 1.2)))
    return Predictions(
        task="binary", labels=("No", "Yes"), y_true=y, predicted=(p > 0.5).astype(int),
        probabilities=np.column_stack([1 - p, p]),
    )  # fmt: skip


def decided(shift: float = 0.7, *, share: float = 0.95) -> PerformanceReport:
    window = made(900, shift, seed=2)
    plans = ["<b>fibre</b>", "DSL & more", "none"]
    column = pa.chunked_array([[plans[i % 7 % 3] if i > 60 else "new" for i in range(900)]])
    segments, left_out = segments_of({"plan": column}, [["plan"]])
    kept = round(900 / share)
    return decide_performance(
        window,
        coverage=Coverage(
            version="3",
            window=WindowCounts(rows=kept + 40, kept=kept, immature=40),
            labels=LabelCounts(labels=1_000, unknown=70, repeated=30, joined=900),
        ),
        standard=Standard(task="binary", metric="roc_auc", values=evaluate(made(1_400, 1.5, seed=1))),
        policy=PerformancePolicy(),
        segments=segments,
        segments_left_out=left_out,
    )


def test_verdict_and_numbers_of_the_decision_are_shown() -> None:
    report = decided()
    html = performance_report(report, about=ABOUT)
    assert report.verdict == "drop"
    assert "Performance dropped" in html
    assert report.reasons[0] in html
    for one in report.changes:
        assert f"{one.difference:+.4f}" in html
    assert "70 labels are of keys that nobody scored" in html
    assert "900 of 947 rows old enough" in html
    assert "61 labelled rows, 100 required" in html


def test_names_from_data_are_text_and_nothing_is_loaded() -> None:
    html = performance_report(decided(), about=ABOUT)
    assert "<b>fibre</b>" not in html
    assert "&lt;b&gt;fibre&lt;/b&gt;" in html
    assert not re.search(r"(src|href)=", html)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_window_that_says_nothing_says_why(share: float) -> None:
    html = performance_report(decided(1.5, share=share), about=ABOUT)
    assert ("Too few labels to tell" in html) == (share == 0.5)
    assert ("No drop" in html) == (share == 0.95)


def test_intervals_are_drawn_to_scale_on_one_axis() -> None:
    changes = [one for one in decided().changes if one.value.name in ("roc_auc", "accuracy")]
    drawn = pictures(changes)
    assert len({(one.low, one.high) for one in drawn}) == 1
    for change, one in zip(changes, drawn, strict=True):
        for value, bar in ((change.value, one.current), (change.reference, one.reference)):
            width = one.high - one.low
            assert bar.left == pytest.approx(100 * (value.lower - one.low) / width, abs=0.01)
            assert bar.left + bar.width == pytest.approx(100 * (value.upper - one.low) / width, abs=0.02)
            assert 0 <= bar.left <= bar.value <= bar.left + bar.width <= 100


def test_values_without_spread_are_drawn_all_the_same() -> None:
    change: Any = decided().changes[0]
    from dataclasses import replace

    flat = replace(change.value, value=1.0, lower=1.0, upper=1.0)
    (picture,) = pictures([replace(change, value=flat, reference=flat)])
    assert (picture.current.width, picture.current.value) == (0.0, pytest.approx(50, abs=0.1))
    assert pictures([]) == []
