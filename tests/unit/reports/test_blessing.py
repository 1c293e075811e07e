from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_mlops_provider.reports.blessing import blessing_report

EVIL = "<img src=x onerror=alert(1)>"


def metric(value: float) -> dict[str, Any]:
    return {"value": value, "lower": value - 0.02, "upper": value + 0.02, "greater_is_better": True}


def blessing(**changes: Any) -> dict[str, Any]:
    return {
        "verdict": "blessed",
        "passed": True,
        "reasons": [],
        "results": [
            {"gate": "min_rows", "kind": "value", "passed": True, "skipped": False, "message": "1000 rows judged."},
            {"gate": "same_signature", "kind": "change", "passed": True, "skipped": True, "message": "no champion."},
        ],
        "model_name": "churn",
        "version": "7",
        "champion_version": "6",
        "evaluated_at": "2026-01-01T00:00:00+00:00",
        "evaluated_by": {"dag_id": "d", "run_id": "r", "task_id": "t"},
        "confidence": 0.95,
        "seed": 0,
        "fingerprint": {"uri": "file:///data/telco.csv", "sha256": "ab" * 32},
        "rows": {"judged": 1000, "left_out": 4000},
        "latency": {"row_milliseconds": 1.5, "batch_milliseconds": 20.0, "batch_rows": 1000},
        "model_size_bytes": 123_456,
        "metrics": {
            "challenger": {"roc_auc": metric(0.85), "brier_score": metric(0.1)},
            "champion": {"roc_auc": metric(0.83)},
            "baseline": {"roc_auc": metric(0.5)},
        },
    } | changes


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_report_says_the_verdict_the_gates_and_both_sides_on_the_same_rows() -> None:
    text = text_of(blessing_report(blessing(), {"roc.svg": "<svg/>"}))
    for said in (
        "✓ Blessed",
        "version 7 against champion 6",
        "1,000",
        "4,000",
        "0.85 [0.83, 0.87]",
        "0.83 [0.81, 0.85]",
    ):
        assert said in text, said
    assert "skipped" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "not_blessed", "passed": False, "reasons": ["too slow"]}, "✗ Not blessed too slow"),
        (
            {
                "verdict": "rubber_stamped",
                "champion_version": None,
                "metrics": blessing()["metrics"] | {"champion": None},
            },
            "✓ Rubber-stamped There is no champion yet",
        ),
    ],
)
def test_every_verdict_has_its_words(changes: dict[str, Any], said: str) -> None:
    assert said in text_of(blessing_report(blessing(**changes), {}))


def test_nothing_that_comes_from_users_or_data_is_markup() -> None:
    record = blessing(
        verdict="not_blessed",
        passed=False,
        reasons=[EVIL],
        model_name=EVIL,
        results=[{"gate": EVIL, "kind": EVIL, "passed": False, "skipped": False, "message": EVIL}],
        fingerprint={"uri": EVIL, "sha256": EVIL},
        evaluated_by={"dag_id": EVIL, "run_id": EVIL, "task_id": EVIL},
    )
    html = blessing_report(record, {EVIL: f"<svg>{EVIL}</svg>"})
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") > 8
    assert not re.search(r"<script|\son\w+=\"", html)
