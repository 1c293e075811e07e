"""The topologies of the system tests, each started once."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.system import topology


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


@pytest.fixture(scope="module")
def light() -> Iterator[topology.Topology]:
    with topology.light() as running:
        yield running
