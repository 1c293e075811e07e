"""The topologies of the system tests, each started once."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.system import topology
from tests.system.airflow_api import ENDED


@pytest.fixture(scope="session", autouse=True)
def _terminated_is_interrupted() -> Iterator[None]:
    """Let what ends the tests from outside also end what they started."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def full() -> Iterator[topology.Topology]:
    with topology.full() as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long each DAG run took."""
    for run in ENDED:
        terminalreporter.write_line(f"{run.dag_id:18}{run.run_id:54}{run.state:8}{run.seconds:6.0f} s")
