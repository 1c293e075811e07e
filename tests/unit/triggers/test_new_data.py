from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.data.access import DEFAULT_ACCESS
from airflow_mlops_provider.hooks.data import airflow_access
from airflow_mlops_provider.triggers import new_data
from airflow_mlops_provider.triggers.new_data import NewDataTrigger
from tests.conftest import Bucket
from tests.triggers import forbid_masking_on_the_loop


def state_of(paths: list[str]) -> str:
    return new_data.state_of(paths, DEFAULT_ACCESS)


def state_of_s3(paths: list[str]) -> str:
    return new_data.state_of(paths, airflow_access())


def first_event(trigger: NewDataTrigger, *, meanwhile: Any = None, seconds: float = 10) -> Any:
    """Run a trigger to its event, and something else in the same event loop; None without an event in time."""

    async def run() -> Any:
        async def event() -> Any:
            async for found in trigger.run():
                return found
            return None

        waiting = asyncio.create_task(event())
        if meanwhile is not None:
            await meanwhile()
        try:
            return await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            return None

    return asyncio.run(run())


def test_it_comes_back_from_its_serialized_form_as_it_was() -> None:
    trigger = NewDataTrigger(paths=["/data/*.csv"], seen="abc", poll_interval_seconds=5.0)
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert again.serialize() == trigger.serialize()
    assert (again.paths, again.seen, again.poll_interval_seconds) == (["/data/*.csv"], "abc", 5.0)


def test_a_file_that_appears_while_waiting_fires_it_once(tmp_path: Path) -> None:
    paths = [str(tmp_path / "today.csv")]
    trigger = NewDataTrigger(paths=paths, seen=state_of(paths), poll_interval_seconds=0.01)

    async def write() -> None:
        await asyncio.sleep(0.05)
        Path(paths[0]).write_text("a\n1\n")

    event = first_event(trigger, meanwhile=write)
    assert event.payload == {"state": state_of(paths)}

    async def all_events() -> list[Any]:
        return [one async for one in trigger.run()]

    assert len(asyncio.run(all_events())) == 1


def test_without_a_change_it_goes_on_waiting(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    paths = [str(tmp_path)]
    trigger = NewDataTrigger(paths=paths, seen=state_of(paths), poll_interval_seconds=0.01)
    assert first_event(trigger, seconds=0.3) is None


def test_it_lets_an_interval_pass_before_its_first_look(tmp_path: Path) -> None:
    # Or a triggerer that sees other files than the worker would send the task back and forth without a pause.
    trigger = NewDataTrigger(paths=[str(tmp_path)], seen="what the worker saw", poll_interval_seconds=3600)
    assert first_event(trigger, seconds=0.2) is None


def test_a_slow_file_system_does_not_hold_up_other_triggers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    looking, answered = threading.Event(), threading.Event()

    def hanging(paths: Any, access: Any) -> str:
        looking.set()
        assert answered.wait(10)
        return "changed"

    monkeypatch.setattr(new_data, "state_of", hanging)

    async def other_trigger() -> None:
        while not looking.is_set():
            await asyncio.sleep(0.01)
        # Would never be reached were the event loop waiting for the look.
        answered.set()

    event = first_event(NewDataTrigger(paths=["x"], seen="", poll_interval_seconds=0), meanwhile=other_trigger)
    assert event.payload == {"state": "changed"}


def test_the_state_changes_with_files_sizes_and_times_and_with_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    paths = [str(folder)]
    states = [state_of(paths)]

    def note() -> None:
        states.append(state_of(paths))

    folder.mkdir()
    assert state_of(paths) == states[0]  # still no data
    (folder / "a.csv").write_text("a\n1\n")
    note()
    (folder / "b.csv").write_text("a\n1\n")
    note()
    (folder / "b.csv").write_text("a\n12\n")
    note()
    os.utime(folder / "b.csv", (1, 1))
    note()
    (folder / "b.csv").unlink()
    note()
    (folder / "_SUCCESS").write_text("")  # no data, as in Hive and Spark
    assert state_of(paths) == states[-1] == states[1]
    assert len(set(states)) == len(states) - 1
    assert state_of(paths) == state_of([str(folder / "*.csv")]) == state_of([f"file://{folder}"])


def test_names_with_brackets_are_names_where_they_exist(tmp_path: Path) -> None:
    path = tmp_path / "day[1].csv"
    before = state_of([str(path)])
    path.write_text("a\n1\n")
    assert state_of([str(path)]) != before


def test_an_object_written_or_replaced_while_waiting_fires_it(s3: Bucket, airflow_home: Path) -> None:
    paths = [s3.uri("day/*.csv")]
    for body in (b"a\n1\n", b"a\n2\n"):  # of one size, and within one second
        trigger = NewDataTrigger(paths=paths, seen=state_of(paths), poll_interval_seconds=0.01)

        async def write(body: bytes = body) -> None:
            await asyncio.sleep(0.05)
            await asyncio.to_thread(s3.put, "day/a.csv", body)

        event = first_event(trigger, meanwhile=write, seconds=60)
        assert event.payload == {"state": state_of(paths)}


def test_a_table_fires_it_when_it_is_whole_and_not_before(s3: Bucket, airflow_home: Path) -> None:
    paths, nothing = [s3.uri("day=1/")], state_of([s3.uri("none/")])
    s3.put("day=1/_unfinished.abc", b"{}")
    s3.put("day=1/part-0.csv", b"a\n1\n")
    assert state_of(paths) == nothing
    trigger = NewDataTrigger(paths=paths, seen=nothing, poll_interval_seconds=0.01)

    async def finish() -> None:
        await asyncio.sleep(0.05)
        await asyncio.to_thread(s3.put, "day=1/_SUCCESS", b"{}")

    event = first_event(trigger, meanwhile=finish, seconds=60)
    assert event.payload == {"state": state_of(paths)} != {"state": nothing}


def test_keys_of_s3_come_from_the_connection_and_not_from_the_arguments(
    s3: Bucket, s3_url: str, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("a.csv", b"a\n1\n")
    connection = {"conn_type": "aws", "login": "ann", "password": "secret", "extra": {"endpoint_url": s3_url}}
    monkeypatch.setenv("AIRFLOW_CONN_MINIO", json.dumps(connection))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    forbid_masking_on_the_loop(monkeypatch)
    trigger = NewDataTrigger(paths=[f"s3://minio@{s3.name}/a.csv"], seen="", poll_interval_seconds=0.01)
    assert "secret" not in json.dumps(trigger.serialize())
    found = first_event(trigger, seconds=60)
    assert found.payload == {"state": state_of_s3(trigger.paths)}


def test_a_storage_that_is_down_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def down(paths: Any, access: Any) -> str:
        looks.append(paths)
        if len(looks) < 3:
            raise OutageError("S3 answered 503.")
        return "changed"

    monkeypatch.setattr(new_data, "state_of", down)
    event = first_event(NewDataTrigger(paths=["x"], seen="", poll_interval_seconds=0))
    assert (event.payload, len(looks)) == ({"state": "changed"}, 3)


def test_a_connection_that_is_missing_is_for_the_worker_to_tell(airflow_home: Path) -> None:
    trigger = NewDataTrigger(paths=["s3://nowhere@bucket/a.csv"], seen="", poll_interval_seconds=0)
    assert first_event(trigger) is not None


def test_the_triggerer_loads_nothing_heavy_for_it() -> None:
    code = (
        "import sys\nimport airflow.triggers.base\nbefore = set(sys.modules)\n"
        "from airflow_mlops_provider.data.access import DEFAULT_ACCESS\n"
        "from airflow_mlops_provider.triggers.new_data import NewDataTrigger, state_of\n"
        "NewDataTrigger(paths=['/x'], seen=''); state_of(['/x'], DEFAULT_ACCESS)\n"
        "heavy = {'boto3', 'great_expectations', 'mlflow', 'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_paths_of_several_formats_are_watched_each_for_itself(tmp_path: Path) -> None:
    scores, labels = tmp_path / "scores.parquet", tmp_path / "labels.csv"
    paths = [str(scores), str(labels), str(tmp_path / "never.csv")]
    states = [state_of(paths)]
    for path in (scores, labels):
        path.write_bytes(b"anything")
        states.append(state_of(paths))
    assert len(set(states)) == 3
