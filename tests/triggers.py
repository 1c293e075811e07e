"""Running triggers as a triggerer does: many on one event loop, each for as long as it is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger


async def events_of(trigger: BaseTrigger, *, into: list[Any]) -> None:
    """Collect the payloads of a trigger until it ends or is cancelled."""
    async for event in trigger.run():
        into.append(event.payload)


@asynccontextmanager
async def running(*triggers: BaseTrigger) -> AsyncIterator[list[list[Any]]]:
    """Run triggers; yield for each the list of payloads it has given so far."""
    found: list[list[Any]] = [[] for _ in triggers]
    tasks = [asyncio.create_task(events_of(one, into=into)) for one, into in zip(triggers, found, strict=True)]
    try:
        yield found
        for task in tasks:
            if task.done():
                task.result()  # raises what the trigger raised
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any], *, seconds: float = 60) -> None:
    """Wait for a condition; fails when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def heartbeat(into: list[float]) -> None:
    """Note how late each tick of 10 ms came: how long the event loop was held up."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        into.append(time.monotonic() - before - 0.01)


def forbid_masking_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a connection is read on an event loop in the way that asks Airflow and waits.

    Airflow's own error for it, ``DeadlockImminentError``, comes only when another trigger is talking to Airflow.
    """

    def mask(*_: Any) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise AssertionError("Airflow is asked on the event loop, in the way that blocks it")

    monkeypatch.setattr("airflow.sdk.log.mask_secret", mask)


def run(work: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await work

    return asyncio.run(main())


def flat(found: Sequence[Sequence[Any]]) -> list[Any]:
    return [payload for one in found for payload in one]
