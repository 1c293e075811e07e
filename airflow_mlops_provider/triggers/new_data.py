"""Watches files for new or changed data; looks at names, sizes and times only, and never reads a row.

The triggerer may run the same trigger twice and restart it at any time, so it keeps nothing but its arguments and only
looks. What is done about new data is the worker's part.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from glob import glob
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.triggers.base import BaseTrigger, TriggerEvent


class NewDataTrigger(BaseTrigger):
    """Fires when the files behind some paths are others than they were.

    Parameters
    ----------
    paths : list of str
        Files, directories, globs or ``file://`` addresses.
    seen : str
        What :func:`state_of` said of them before.
    poll_interval_seconds : float
        Time between two looks, above 0.
    """

    def __init__(self, *, paths: list[str], seen: str, poll_interval_seconds: float = 60.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no annotations
        self.paths = paths
        self.seen = seen
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger anew."""
        return (
            "airflow_mlops_provider.triggers.new_data.NewDataTrigger",
            {"paths": self.paths, "seen": self.seen, "poll_interval_seconds": self.poll_interval_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until something changed, then say so once."""
        while True:
            # Listing a directory blocks, on network storage for long; the event loop serves other triggers meanwhile.
            state = await asyncio.to_thread(state_of, self.paths)
            if state != self.seen:
                yield TriggerEvent({"state": state})  # type: ignore[no-untyped-call]  # nor has the event
                return
            await asyncio.sleep(self.poll_interval_seconds)


def state_of(paths: list[str]) -> str:
    """Return a digest of which files there are, how large, and when they were modified."""
    entries = sorted(entry for path in paths for entry in _files(path))
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()


def _files(path: str) -> list[str]:
    if path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    found = []
    for root in glob(path, recursive=True) or [path]:
        if os.path.isdir(root):
            found += [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
        else:
            found.append(root)
    entries = []
    for name in found:
        try:
            status = os.stat(name)
        except OSError:
            continue  # gone between listing and looking, or not there yet
        entries.append(f"{name}\t{status.st_size}\t{status.st_mtime_ns}")
    return entries
