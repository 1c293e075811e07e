"""Tables on the worker's file system: built under a hidden name beside their place, and renamed when complete.

It must never touch what another task wrote unless it is told to.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.about_table import SUCCESS, about_file, about_text, check_owner
from airflow_mlops_provider.data.file_object import local_uri

_FINAL = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR})
# What file systems without hard links say.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


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

    def write_new(self, text: str) -> bool:
        """Write a small file where nothing is, in one step; False when something else is there.

        What an earlier try wrote is taken for this one's.
        """
        prefix = f".mlops-{sha256(self.name.encode()).hexdigest()[:12]}."
        part = self.path.with_name(f"{prefix}{secrets.token_hex(4)}.part")
        with storage_errors(self.uri):
            if not self.path.parent.is_dir():
                said = os.strerror(errno.ENOENT)
                raise InputError(f"Output {self.uri} cannot be written: {said}. Hint: make its folder first.")
            try:
                with part.open("xb") as file:
                    file.write(text.encode())
                _sync(part)
                _rename_new(part, self.path)
            except FileExistsError:
                if not self._holds(text.encode()):
                    return False
            finally:
                part.unlink(missing_ok=True)
            _sync_folder(self.path.parent)
            for left in self.path.parent.glob(f"{prefix}*.part"):
                remove(left)
        return True

    def _holds(self, body: bytes) -> bool:
        try:
            return self.path.stat().st_size == len(body) and self.path.read_bytes() == body
        except OSError:
            return False


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
        if error.errno in _FINAL:
            raise InputError(f"Output {uri} cannot be written: {error.strerror}.") from error
        raise OutageError(
            f"Output {uri} could not be written: {error.strerror or error}. Nothing was published; "
            "what was written so far is removed by the next try."
        ) from error


def _rename_new(source: Path, target: Path) -> None:
    """Rename a file to where nothing is; raises `FileExistsError`."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Two tries at the same moment are not told apart on such a file system, but neither leaves half a file.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)


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
