from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_mlops_provider.core.preconditions import Finding, PreconditionPolicy, TableFacts
from airflow_mlops_provider.core.specs import Fingerprint
from airflow_mlops_provider.validation.outcome import (
    ENTRIES_IN_XCOM,
    REASONS_IN_XCOM,
    ExpectationOutcome,
    metrics,
    small,
    verdict,
)

FINGERPRINT = Fingerprint(uri="file:///a.csv", sha256="ab" * 32, size_bytes=1, rows=10, modified_at=None)


def outcome(**changes: Any) -> ExpectationOutcome:
    fields = {"type": "expect_x", "column": "a", "settings": "min=0", "severity": "critical", "success": True}
    return ExpectationOutcome(**{**fields, **changes})


def judged(outcomes: list[ExpectationOutcome] | None = None, findings: list[Finding] | None = None) -> dict[str, Any]:
    return verdict(
        uri="file:///a.csv",
        fingerprint=FINGERPRINT,
        engine="pandas",
        facts=TableFacts(rows=10, columns=()),
        policy=PreconditionPolicy(),
        findings=findings or [],
        outcomes=outcomes or [],
    )


@pytest.mark.parametrize(
    ("severity", "success", "error", "passed"),
    [
        ("critical", True, None, True),
        ("critical", False, None, False),
        ("critical", False, "TypeError was raised", False),
        ("warning", False, None, True),
        ("info", False, "TypeError was raised", True),
    ],
)
def test_only_a_critical_expectation_that_does_not_hold_rejects(
    severity: str, success: bool, error: str | None, passed: bool
) -> None:
    result = judged([outcome(), outcome(severity=severity, success=success, error=error)])
    assert result["passed"] is passed
    assert bool(result["reasons"]) is not passed
    assert bool(result["warnings"]) is (passed and not success)


def test_a_finding_rejects_although_every_expectation_holds() -> None:
    result = judged([outcome()], [Finding(check="min_rows", message="too few")])
    assert (result["passed"], result["reasons"]) == (False, ["too few"])


def test_violations_and_errors_are_counted_apart() -> None:
    result = judged([outcome(), outcome(success=False), outcome(success=False, error="x", severity="info")])
    assert result["statistics"] == {
        "findings": 0,
        "expectations_evaluated": 3,
        "expectations_succeeded": 1,
        "expectations_failed": 2,
        "expectations_failed_critical": 1,
        "expectations_in_error": 1,
    }
    assert metrics(result) == {"passed": 0, "rows": 10, "columns": 0, **result["statistics"]}


def test_what_goes_into_xcom_is_capped_with_failures_first_and_the_rest_counted() -> None:
    outcomes = [outcome(success=number != 799, column="c" * 200, settings="s" * 300) for number in range(800)]
    findings = [Finding(check="missing_share", message="m" * 200) for _ in range(500)]
    kept = small(judged(outcomes, findings))
    assert kept["expectations"][0]["success"] is False
    assert (len(kept["expectations"]), len(kept["findings"])) == (ENTRIES_IN_XCOM, ENTRIES_IN_XCOM)
    assert kept["left_out"] == {"findings": 450, "expectations": 750}
    assert len(kept["reasons"]) == REASONS_IN_XCOM + 1
    assert kept["reasons"][-1] == "and 481 more, see the report"
    assert len(json.dumps(kept)) < 64_000


def test_a_small_result_is_left_whole() -> None:
    result = judged([outcome(success=False, unexpected_count=2, unexpected_share=0.5)])
    kept = small(result)
    assert kept["left_out"] == {}
    assert kept["reasons"] == ["expect_x on 'a' fails: 2 unexpected (50 %)"]
    assert kept["data"] == {"uri": "file:///a.csv", "fingerprint": FINGERPRINT.to_dict()}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "expect_x on 'a' holds"),
        ({"success": False}, "expect_x on 'a' fails"),
        ({"success": False, "observed_value": 33334.0, "column": None}, "expect_x fails: observed 33334"),
        ({"success": False, "error": "no column"}, "expect_x on 'a' could not be checked: no column"),
    ],
)
def test_an_outcome_is_said_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert outcome(**changes).sentence() == sentence
