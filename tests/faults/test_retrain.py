"""Retraining tasks killed with kill -9: one entry, one run, whether their own retry or another monitor comes next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENTERED = ("entered", "before the run", "training started", "before XCom")


def crash(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.retrain", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def wrong(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for case in cases:
        whole = case["struck"] and case["runs"] == 1 and case["is_the_one_asked_for"]
        entries = ["promote", "retrain_requested"]
        if case["after"] == "next monitor" and case["point"] in ENTERED:
            # It finds the request, starts its run where there is none, and asks for nothing.
            right = (
                not case["retrain"]
                and case["suppressed_by"] == ["answered", "in_flight", "cooldown"]
                and case["entries"] == [*entries, "retrain_suppressed"]
            )
        else:
            right = case["retrain"] and case["entries"] == entries
        if not (whole and right):
            found.append(case)
    return found


def test_a_request_whose_task_was_killed_before_its_run_gets_the_run_by_the_retry() -> None:
    cases = crash("--points", "entered", "--after", "retry")
    assert len(cases) == 1
    assert wrong(cases) == []


@pytest.mark.faults
def test_a_task_killed_anywhere_leaves_one_request_and_one_run() -> None:
    cases = crash()
    assert len(cases) == 10
    assert wrong(cases) == []
