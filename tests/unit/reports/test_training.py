from __future__ import annotations

import re
from typing import Any

from airflow_mlops_provider.reports.training import training_report

EVIL = "<img src=x onerror=alert(1)>"


def metric(value: float) -> dict[str, Any]:
    return {
        "name": "roc_auc",
        "value": value,
        "lower": value - 0.02,
        "upper": value + 0.02,
        "confidence": 0.95,
        "n_rows": 100,
        "method": "delong_logit",
        "greater_is_better": True,
    }


def evidence(**changes: Any) -> dict[str, Any]:
    return {
        "task": "binary",
        "target": "churn",
        "classes": ["No", "Yes"],
        "metric": "roc_auc",
        "metrics": {"roc_auc": metric(0.85)},
        "baseline_metrics": {"roc_auc": metric(0.5)},
        "candidate": "linear",
        "params": {"C": 1.0},
        "candidates": [
            {"name": "linear", "params": {"C": 1.0}, "fold_scores": [0.84, 0.86], "mean": 0.85, "seconds": 1.2},
            {"name": "forest", "params": {}, "fold_scores": [], "mean": None, "seconds": 2.0},
        ],
        "kinds": {"tenure": "numeric"},
        "dropped": {"id": "looks like a row identifier"},
        "split": {"method": "hash", "holdout_share": 0.2, "columns": ["customer_id"]},
        "rows": 4000,
        "holdout_rows": 1000,
        "fingerprint": {"uri": "file:///data/telco.csv", "sha256": "ab" * 32},
        "seed": 0,
        "digest": "cd" * 20,
        "requirements": ["scikit-learn==1.9.1"],
        "python": "3.11.7",
        "git_commit": "ef" * 20,
        "model_size_bytes": 123_456,
    } | changes


def test_the_report_says_how_good_how_sure_compared_with_what_and_made_from_what() -> None:
    html = training_report(model_name="churn", evidence=evidence(), figures={"roc.svg": "<svg/>"})
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    for said in (
        "churn: linear",
        "0.85 [0.83, 0.87]",
        "4,000",
        "ab" * 32,
        "looks like a row identifier",
        "customer_id",
        "scikit-learn==1.9.1",
        "ef" * 20,
        "no cross-validation",
        "No, Yes",
    ):
        assert said in text, said


def test_a_regression_without_folds_commit_or_dropped_columns_is_reported_too() -> None:
    record = evidence(task="regression", classes=[], git_commit=None, dropped={}, baseline_metrics={})
    html = training_report(model_name="m", evidence=record, figures={})
    assert "Git commit" not in html
    assert "Left out" not in html


def test_nothing_that_comes_from_users_or_data_is_markup() -> None:
    record = evidence(
        target=EVIL,
        classes=[EVIL, "b"],
        candidate=EVIL,
        candidates=[{"name": EVIL, "params": {EVIL: EVIL}, "fold_scores": [], "mean": None, "seconds": 0.0}],
        kinds={EVIL: "numeric"},
        dropped={EVIL: EVIL},
        fingerprint={"uri": EVIL, "sha256": EVIL},
        git_commit=EVIL,
        requirements=[EVIL],
    )
    html = training_report(model_name=EVIL, evidence=record, figures={EVIL: f"<svg>{EVIL}</svg>"})
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") > 10
    assert "default-src 'none'" in html
    assert not re.search(r"<script|\son\w+=\"", html)
