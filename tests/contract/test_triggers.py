"""What every trigger promises, found by listing the folder: a new trigger needs only its arguments below."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import importlib
import inspect
import json
import pkgutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.triggers.base import BaseEventTrigger, BaseTrigger

import airflow_mlops_provider.triggers as package
from tests.triggers import heartbeat, running

NO_FILES = hashlib.sha256(b"").hexdigest()
# What is watched is not there, so that each waits on.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "NewDataTrigger": {"paths": ["/nowhere/*.csv"], "seen": NO_FILES, "poll_interval_seconds": 0.02},
    "ModelVersionTrigger": {"model_name": "absent", "alias": "champion", "poll_interval_seconds": 0.02},
    "ModelEventTrigger": {"model_name": "absent", "alias": "champion", "poll_interval_seconds": 0.02},
}
BLOCKING = {"requests", "urllib.request", "http.client", "socket", "sqlite3", "mlflow", "boto3", "subprocess"}
MODULES = [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(package.__path__)]


def classes() -> dict[str, type[BaseTrigger]]:
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for _, one in inspect.getmembers(module, inspect.isclass):
            if issubclass(one, BaseTrigger) and one.__module__ == name:
                found[one.__name__] = one
    return found


every_trigger = pytest.mark.parametrize("name", sorted(classes()))


@pytest.fixture(autouse=True)
def waits(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that takes connections and never answers: what blocks is held up by it until a time-out."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", f"mlflow://ann:s3cret-word@127.0.0.1:{port}/http")
        yield


def build(name: str) -> BaseTrigger:
    return classes()[name](**ARGUMENTS[name])


def test_every_trigger_has_arguments_here() -> None:
    assert sorted(ARGUMENTS) == sorted(classes())


@every_trigger
def test_it_comes_back_from_its_serialized_form_as_it_was(name: str) -> None:
    trigger = build(name)
    path, arguments = trigger.serialize()
    # As Airflow keeps them in its database.
    stored = json.loads(json.dumps(BaseSerialization.serialize(arguments)))
    module, _, class_name = path.rpartition(".")
    again = getattr(importlib.import_module(module), class_name)(**BaseSerialization.deserialize(stored))
    assert type(again) is type(trigger)
    assert again.serialize() == (path, arguments)
    assert json.loads(json.dumps(arguments)) == arguments
    assert {**arguments, **ARGUMENTS[name]} == arguments


@every_trigger
def test_its_arguments_are_the_same_each_time_and_hold_no_credentials(name: str) -> None:
    first, second = (build(name).serialize() for _ in range(2))
    assert first == second
    assert "s3cret" not in json.dumps(first[1])
    if issubclass(classes()[name], BaseEventTrigger):
        assert BaseEventTrigger.hash(*first) == BaseEventTrigger.hash(*second)


@every_trigger
def test_it_waits_without_holding_up_others_and_ends_when_told_to(name: str) -> None:
    lags: list[float] = []

    async def watch() -> list[list[Any]]:
        beating = asyncio.create_task(heartbeat(lags))
        async with running(*(build(name) for _ in range(20))) as found:
            await asyncio.sleep(1)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        beating.cancel()
        return found

    found = asyncio.run(watch())
    assert found == [[]] * 20
    # One blocking call holds the loop up for the 15 s of its time-out; a busy machine, for a second or two.
    assert len(lags) >= 3
    assert max(lags) < 10


@every_trigger
def test_its_module_imports_nothing_that_blocks(name: str) -> None:
    tree = ast.parse(inspect.getsource(importlib.import_module(classes()[name].__module__)))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & BLOCKING
    called = {node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "attr")}
    assert not called & {"get_connection", "extra_dejson", "open"}


def test_the_triggerer_loads_nothing_heavy_for_them() -> None:
    code = (
        "import importlib, json, sys\nimport airflow.triggers.base, httpx\nbefore = set(sys.modules)\n"
        "from airflow_mlops_provider.registry import rest\n"
        "names, arguments = json.loads(sys.argv[1])\n"
        "for name in names:\n"
        "    for found in vars(importlib.import_module(name)).values():\n"
        "        if getattr(found, '__module__', '') == name and getattr(found, '__name__', '') in arguments:\n"
        "            found(**arguments[found.__name__]).serialize()\n"
        "heavy = {'great_expectations', 'mlflow', 'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'requests'}\n"
        "print('LOADED', sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([MODULES, ARGUMENTS])], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"
