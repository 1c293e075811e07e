"""Tasks killed, frozen or doubled at named points, and tried again: one version, one entry, the right champion."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.faults.conftest import Store
from tests.servers import mlflow_server

CRASH = Path(__file__).with_name("crash.py")
TASKS = ("train", "evaluate", "promote", "rollback")
FIRST = [["promote", "1"]]
AFTER: dict[str, dict[str, Any]] = {
    "train": {"versions": [1], "entries": [], "champion": None, "challenger": "1"},
    "evaluate": {"versions": [1], "entries": [], "champion": None, "challenger": "1"},
    "promote": {"versions": [1], "entries": FIRST, "champion": "1", "challenger": None},
    "rollback": {
        "versions": [1, 2],
        "entries": [*FIRST, ["promote", "2"], ["rollback", "1"]],
        "champion": "1",
        "challenger": None,
    },
}
# A try that froze when its version was about to be made makes it after all, and finds that another one counts.
FROZEN_DUPLICATE = ("train", "before registration")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, telco: Path) -> Path:
    path = tmp_path_factory.mktemp("data") / "customers.csv"
    columns = ["tenure", "monthly_charges", "contract", "churn"]
    pd.read_csv(telco)[columns].head(400).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("crash")) as url:
        yield url


def crash(url: str, sample: Path, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(CRASH), url, "--data", str(sample), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    cases = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert cases
    return cases


def wrong_after_a_kill(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wrong = []
    for case in cases:
        expected = {**AFTER[case["task"]], "struck": True, "duplicates": []}
        if case["task"] != "evaluate":  # an evaluation makes a new run each time
            expected["running"] = 0
        if any(case[key] != value for key, value in expected.items()):
            wrong.append(case)
    return wrong


def test_a_training_killed_when_its_model_was_whole_is_taken_over(
    sqlite_server: str, sample: Path, tmp_path: Path
) -> None:
    cases = crash(sqlite_server, sample, tmp_path, "--tasks", "train", "--points", "before registration", "registered")
    assert len(cases) == 2
    assert wrong_after_a_kill(cases) == []


def test_a_promotion_killed_before_its_alias_is_finished(sqlite_server: str, sample: Path, tmp_path: Path) -> None:
    cases = crash(sqlite_server, sample, tmp_path, "--tasks", "promote", "--points", "entered", "before alias")
    assert len(cases) == 2
    assert wrong_after_a_kill(cases) == []


def test_a_frozen_promotion_that_wakes_after_its_retry_changes_nothing(
    sqlite_server: str, sample: Path, tmp_path: Path
) -> None:
    cases = crash(
        sqlite_server,
        sample,
        tmp_path,
        "--freeze",
        "--tasks",
        "promote",
        "--points",
        "before the entry",
        "before alias",
    )
    # Its own claim is all that it takes away.
    assert [case["changed"] for case in cases] == [{"claims": [1, 0]}] * 2
    assert wrong_after_a_kill(cases) == []


def test_a_training_killed_in_the_middle_of_an_upload_is_made_anew(
    sqlite_server: str, sample: Path, tmp_path: Path
) -> None:
    cases = crash(sqlite_server, sample, tmp_path, "--tasks", "train", "--points", "model half sent")
    assert len(cases) == 1
    assert wrong_after_a_kill(cases) == []


def test_a_dag_run_that_is_carried_out_twice_at_once_has_one_effect(
    sqlite_server: str, sample: Path, tmp_path: Path
) -> None:
    tasks = ("train", "promote", "rollback")
    cases = crash(sqlite_server, sample, tmp_path, "--twice", "run", "--tasks", *tasks)
    assert [case["task"] for case in cases] == list(tasks)
    for case in cases:
        # Both may have made a version before either saw the other's: it stays, marked, and counts for nobody.
        assert case["duplicates"] in ([], [2] if case["task"] == "train" else [])
        assert case["told"][0] == case["told"][1]
        assert {key: case[key] for key in AFTER[case["task"]]} == AFTER[case["task"]], case


def test_two_dag_runs_that_move_the_champion_alike_at_once_move_it_once(
    sqlite_server: str, sample: Path, tmp_path: Path
) -> None:
    cases = crash(sqlite_server, sample, tmp_path, "--twice", "dag", "--tasks", "promote", "rollback")
    assert [case["task"] for case in cases] == ["promote", "rollback"]
    for case in cases:
        assert {key: case[key] for key in AFTER[case["task"]]} == AFTER[case["task"]], case


@pytest.mark.faults
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_a_task_killed_anywhere_leaves_what_one_clean_run_leaves(
    request: pytest.FixtureRequest, backend: str, sample: Path, tmp_path: Path, task: str
) -> None:
    assert wrong_after_a_kill(crash(address(request, backend), sample, tmp_path, "--tasks", task)) == []


@pytest.mark.faults
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_a_task_that_wakes_after_its_retry_changes_nothing(
    request: pytest.FixtureRequest, backend: str, sample: Path, tmp_path: Path, task: str
) -> None:
    for case in crash(address(request, backend), sample, tmp_path, "--freeze", "--tasks", task):
        changed = dict(case["changed"])
        changed.pop("running", None)  # it ends its own run
        changed.pop("claims", None)  # and takes its own claim away
        if (case["task"], case["point"]) == FROZEN_DUPLICATE:
            assert changed == {"duplicates": [[], [2]]}
        else:
            assert changed == {}, case


def address(request: pytest.FixtureRequest, backend: str) -> str:
    if backend == "sqlite":
        return str(request.getfixturevalue("sqlite_server"))
    store: Store = request.getfixturevalue("postgres_store")
    return store.uri
