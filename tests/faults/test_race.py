from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Store

RACE = Path(__file__).with_name("race.py")


def race(store: Store, folder: Path, *arguments: object, processes: int = 8) -> dict[str, Any]:
    command = [sys.executable, str(RACE), store.uri, "--processes", str(processes), *map(str, arguments)]
    command += ["--kill-seconds", str(store.race_seconds * processes / 8)]
    if store.artifacts is not None:
        command += ["--artifacts", str(store.artifacts)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(report)
    return report


def test_a_few_rounds_of_eight_leave_one_history(store: Store, tmp_path: Path) -> None:
    report = race(store, tmp_path, "--rounds", 2, "--kill", 0.5)
    assert report["broken"] == []
    assert report["rounds"] == 2


def test_without_a_ledger_the_same_race_loses_moves(postgres_store: Store, tmp_path: Path) -> None:
    assert race(postgres_store, tmp_path, "--rounds", 3, "--naive")["broken"]


@pytest.mark.faults
@pytest.mark.parametrize(("processes", "rounds"), [(8, 60), (16, 30), (32, 15)])
def test_many_rounds_leave_one_history(store: Store, tmp_path: Path, processes: int, rounds: int) -> None:
    report = race(store, tmp_path, "--rounds", rounds, "--kill", 0.3, "--seed", processes, processes=processes)
    assert report["broken"] == []
    assert report["rounds"] == rounds
    # Otherwise the kills came before or after everything that matters, and nothing was tested.
    assert report["killed_in_suspense"] > 0


@pytest.mark.faults
def test_without_a_ledger_the_same_race_loses_moves_on_every_store(store: Store, tmp_path: Path) -> None:
    assert race(store, tmp_path, "--rounds", 10, "--naive", "--seed", 1)["broken"]
