"""Watches files for new or changed data; looks at names, sizes and times only, and never reads a row.

The triggerer may run the same trigger twice and restart it at any time, so it keeps nothing but its arguments and only
looks. What is done about new data is the worker's part.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_mlops_provider.core.errors import InputError, NoDataError, OutageError, UnfinishedDataError
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.locate import locate, place_of
from airflow_mlops_provider.hooks.data import airflow_access_async


class NewDataTrigger(BaseTrigger):
    """Fires when the files behind some paths are others than they were.

    The triggerer must see the same files under the same paths as the worker.

    Parameters
    ----------
    paths : list of str
        Absolute paths of files, directories or globs, ``file://`` or ``s3://`` addresses. Keys of S3 come from Airflow
        connections, never from here.
    seen : str
        What :func:`state_of` said of them before.
    poll_interval_seconds : float
        Time before the first look and between two, above 0.
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
        access: DataAccess | None = None
        while True:
            # Before the first look, too: a triggerer that sees other files than the worker would else fire at once,
            # and the two would chase each other without a pause.
            await asyncio.sleep(self.poll_interval_seconds)
            try:
                # Kept while the trigger runs: a client takes longer to make than to use.
                access = access or await airflow_access_async(place_of(path) for path in self.paths)
                # Listing blocks, on network storage for long; the event loop serves other triggers meanwhile.
                state = await asyncio.to_thread(state_of, self.paths, access)
            except InputError:
                state = _digest(_UNREADABLE)
            except OutageError as error:
                self.log.warning("%s Looking again in %g seconds.", error, self.poll_interval_seconds)
                continue
            if state != self.seen:
                yield TriggerEvent({"state": state})  # type: ignore[no-untyped-call]  # nor has the event
                return


def state_of(paths: Sequence[str], access: DataAccess) -> str:
    """Return a digest of which files these paths mean as data, how large they are, and when they were modified.

    Raises
    ------
    OutageError
        The storage does not answer.
    """
    return _digest(_entries(paths, access))


_UNREADABLE = ("unreadable",)  # the worker says why when it looks


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _entries(paths: Sequence[str], access: DataAccess) -> Sequence[str]:
    # Path by path: they may be of several data sets, and one that is not there yet must not hide the others.
    return [line for path in paths for line in _entries_of(path, access)]


def _entries_of(path: str, access: DataAccess) -> Sequence[str]:
    try:
        _, files = locate(path, access=access)
        seen = [(entry.file.uri, entry.file.identity()) for entry in files]
    except (NoDataError, UnfinishedDataError, FileNotFoundError):
        return []  # not there yet, not whole yet, or gone between listing and looking
    except (InputError, OSError):
        return _UNREADABLE
    return [f"{uri}\t{one.size_bytes}\t{one.modified_at.isoformat()}\t{one.digest or ''}" for uri, one in seen]
