"""Tables on the worker's file system: built under a hidden name beside their place, and renamed when complete.

It must never touch what another task wrote unless it is told to.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.about_table import SUCCESS, about_file, about_text, check_owner
from airflow_mlops_provider.data.file_object import local_uri


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A path for one table.

    Parameters
    ----------
    path : pathlib.Path
        Absolute.
    """

    path: Path

    @property
    def uri(self) -> str:
        """The path as ``file://``."""
        return local_uri(str(self.path))

    @property
    def public_uri(self) -> str:
        """The path as a URI of which every sign is escaped."""
        return self.path.as_uri()

    @property
    def name(self) -> str:
        """The file's or folder's name."""
        return self.path.name

    def beside(self, name: str) -> LocalPlace:
        """Return another path in the same folder."""
        return LocalPlace(self.path.with_name(name))

    def about(self) -> dict[str, Any] | None:
        """Return what a table here says of itself; None for anything else, or nothing."""
        if not self.path.is_dir():
            return about_file(self.path)
        try:
            return about_text((self.path / SUCCESS).read_text())
        except (OSError, ValueError):
            return None

    def check_free(self, *, owner: str, overwrite: bool) -> None:
        """Refuse when something else than this owner's table is there; raises `InputError`."""
        if os.path.lexists(self.path) and not overwrite:
            check_owner(self.about(), owner=owner, uri=self.uri)

    def stage(self, *, owner: str) -> LocalStaging:
        """Begin a try."""
        return LocalStaging(self, owner=owner)


class LocalStaging:
    """A hidden file or folder beside the place.

    Raises
    ------
    InputError
        The folder must not be written.
    OutageError
        The storage failed.
    """

    def __init__(self, place: LocalPlace, *, owner: str) -> None:
        self._place = place
        self._prefix = f".{place.name}.{owner[:16]}."
        with storage_errors(place.uri):
            place.path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
        # A frozen earlier try may still write: it keeps its own name, which is gone when it wants to publish.
        self.path = place.path.with_name(f"{self._prefix}{secrets.token_hex(4)}.part")

    def publish(self, *, overwrite: bool) -> None:
        """Rename the table to its place.

        A file replaces an earlier one in one step. A folder cannot: for the moment between two renames there is none.
        """
        target = self._place.path
        with storage_errors(self._place.uri):
            _sync(self.path)
            if target.is_dir():
                target.rename(target.with_name(f"{self._prefix}old"))
            os.replace(self.path, target)
            _sync_folder(target.parent)
            self._remove_leftovers()

    def close(self) -> None:
        """Remove what was not published."""
        remove(self.path)

    def _remove_leftovers(self) -> None:
        for path in self._place.path.parent.iterdir():
            if path.name.startswith(self._prefix):
                remove(path)


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Tell a place that may not be written from a storage that failed."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(f"Output {uri} cannot be written: {error.strerror}.") from error
    except OSError as error:
        raise OutageError(
            f"Output {uri} could not be written: {error.strerror or error}. Nothing was published; "
            "what was written so far is removed by the next try."
        ) from error


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring a file, or all below a folder, to the disk."""
    if path.is_dir():
        for one in path.iterdir():
            _sync(one)
        _sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
