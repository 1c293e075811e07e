"""kill -9 in the middle of scoring: nothing half is seen, and the next try leaves what an undisturbed one would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlops_provider.core.errors import UnfinishedDataError
from airflow_mlops_provider.data.locate import locate
from airflow_mlops_provider.data.table_files import open_files
from tests.conftest import Bucket
from tests.faults.proxy import faulty_proxy

SCRIPT = Path(__file__).with_name("score.py")
ROWS = 150_000


@pytest.fixture(scope="module")
def start(airflow_home: Path, telco: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Start a try of scoring in a process of its own."""
    folder = tmp_path_factory.mktemp("kill")
    rows = pd.read_csv(telco).drop(columns="churn").sample(ROWS, replace=True, random_state=0)
    rows.insert(0, "customer", np.arange(ROWS))
    rows.to_parquet(folder / "customers.parquet", index=False, row_group_size=20_000)

    def begin(what: str, output: Path | str, partition_by: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        order = folder / f"order-{time.monotonic_ns()}.json"
        given = {
            "what": what,
            "training": str(telco),
            "data": str(folder / "customers.parquet"),
            "output": str(output),
            "partition_by": partition_by,
        }
        order.write_text(json.dumps(given))
        return subprocess.Popen(
            [sys.executable, SCRIPT, order],
            env={**os.environ, "AIRFLOW_HOME": str(airflow_home)},
            stderr=subprocess.PIPE,
        )

    finish(begin("train", folder / "none"))
    return begin


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()[-2000:]


def wait_for_rows(process: subprocess.Popen[bytes], folder: Path, size: int) -> None:
    """Return when the try has written some bytes under its hidden name."""
    while sum(path.stat().st_size for path in list(folder.rglob("*")) if path.is_file()) < size:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return {str(one.relative_to(path.parent)): one.read_bytes() for one in sorted(files)}


@pytest.mark.parametrize(
    ("name", "partition_by", "kills"),
    [
        ("scores.parquet", (), (1,)),
        pytest.param("scores", ("contract",), (1, 200_000), marks=pytest.mark.faults),
        pytest.param("scores.parquet", (), (4, 400_000, 1_000_000), marks=pytest.mark.faults),
    ],
)
def test_a_killed_scoring_leaves_nothing_to_see_and_its_retry_what_an_undisturbed_one_would(
    start: Callable[..., Any], tmp_path: Path, name: str, partition_by: tuple[str, ...], kills: tuple[int, ...]
) -> None:
    undisturbed, killed = tmp_path / "undisturbed" / name, tmp_path / "killed" / name
    finish(start("score", undisturbed, partition_by))
    for size in kills:
        killed.parent.mkdir(exist_ok=True)
        attempt = start("score", killed, partition_by)
        wait_for_rows(attempt, killed.parent, size)
        attempt.send_signal(signal.SIGKILL)
        attempt.communicate()
        assert not killed.exists()
        assert any(one.name.startswith(".") for one in killed.parent.iterdir())
    finish(start("score", killed, partition_by))
    assert contents(killed) == contents(undisturbed)
    assert sorted(one.name for one in killed.parent.iterdir()) == sorted(
        one.name for one in undisturbed.parent.iterdir()
    )
    assert not [one.name for one in killed.parent.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("partNumber=1", marks=pytest.mark.faults),
        "uploadId=",
        pytest.param("_SUCCESS", marks=pytest.mark.faults),
    ],
)
def test_a_scoring_killed_while_it_publishes_to_s3_is_no_data_until_its_retry_made_it_whole(
    start: Callable[..., Any], s3: Bucket, s3_url: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    output, partition_by = s3.uri("scores/day=1"), ("contract",)
    with faulty_proxy(s3_url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        hang = proxy.fail("hang before", path=f"{'POST' if where == 'uploadId=' else 'PUT'} /{s3.name}/scores/day")
        hang.needs = where
        attempt = start("score", output, partition_by)
        while not hang.struck:
            assert attempt.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        attempt.send_signal(signal.SIGKILL)
        attempt.communicate()
        proxy.lift()
        with pytest.raises(UnfinishedDataError, match="not complete yet"):
            locate(s3.uri("scores/"), access=s3.access)
        finish(start("score", output, partition_by))
    with open_files(output, access=s3.access) as source:
        assert source.to_pandas()["customer"].sort_values().tolist() == list(range(ROWS))
    assert s3.uploads() == []
    kept = s3.keys()
    assert not [key for key in kept if "unfinished" in key]
