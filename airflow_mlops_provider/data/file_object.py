"""Bytes of one file and the proof that they did not change; must never know what the bytes mean.

Another kind of storage is one more class with the four members of `FileObject`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from airflow_mlops_provider.core.errors import DataChangedError, InputError, MLOpsError, OutageError

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """What a storage says of a file without reading it; two equal ones mean the same bytes.

    Parameters
    ----------
    size_bytes : int
        Length of the file.
    modified_at : datetime
        Last modification, in UTC.
    version : str
        Whatever else of the storage changes when the bytes do: inode and nanoseconds, or ETag and version.
    digest : str or None, default None
        64 hexadecimal digits that stand for the bytes, where the storage vouches for them; None where they must be
        read.
    """

    size_bytes: int
    modified_at: datetime
    version: str
    digest: str | None = None


class FileObject(Protocol):
    """One file of any storage."""

    @property
    def uri(self) -> str:
        """Address of the file, without credentials."""

    @property
    def key(self) -> str:
        """Text that two objects share only when they are the same file."""

    def open(self, seen: FileIdentity) -> pa.NativeFile:
        """Open the file that was seen, for reading from its start; it can seek."""

    def identity(self) -> FileIdentity:
        """Look the file up now; raises `OSError` when it is not there."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the worker's file system.

    Parameters
    ----------
    path : pathlib.Path
        Absolute path.
    """

    path: Path

    @property
    def uri(self) -> str:
        """Address of the file as ``file://``."""
        return local_uri(str(self.path))

    @property
    def key(self) -> str:
        """The path with all links followed."""
        return str(self.path.resolve())

    def open(self, seen: FileIdentity) -> pa.NativeFile:
        """Open the file; not as a memory map, which kills the process when the file is cut meanwhile."""
        import pyarrow as pa

        return pa.OSFile(str(self.path), "rb")

    def identity(self) -> FileIdentity:
        """Look the file up now."""
        stat = self.path.stat()
        return FileIdentity(
            size_bytes=stat.st_size,
            modified_at=datetime.fromtimestamp(stat.st_mtime_ns / 1e9, tz=UTC),
            version=f"{stat.st_dev}-{stat.st_ino}-{stat.st_mtime_ns}",
        )


def local_uri(path: str) -> str:
    """Write an absolute path or pattern as a URI, its wildcards readable."""
    return "file://" + quote(path, safe="/*?[]!=,:@+&$'();~")


@contextmanager
def reading(file: FileObject, seen: FileIdentity, *, as_what: str) -> Iterator[None]:
    """Guard one pass over a file: it must be the file seen before, from the first byte to the last.

    Parameters
    ----------
    file : FileObject
        What is read inside the ``with`` block.
    seen : FileIdentity
        What it was when the data were opened.
    as_what : str
        Name of the format, for messages.

    Raises
    ------
    DataChangedError
        The file is another one, before or after, or is gone. Errors of the reading itself are then not reported,
        because the change may have caused them.
    InputError
        The bytes are not what the format asks, or may not be read.
    OutageError
        The storage failed.
    """
    _check_unchanged(file, seen)
    try:
        yield
    except Exception as error:
        _check_unchanged(file, seen)
        raise _explained(error, file.uri, as_what) from None  # a reader's text may quote rows
    _check_unchanged(file, seen)


def digest(file: FileObject, seen: FileIdentity) -> str:
    """Return 64 hexadecimal digits: those the storage vouches for, or the SHA-256 of the file's bytes."""
    from hashlib import sha256

    if seen.digest is not None:
        _check_unchanged(file, seen)
        return seen.digest
    total = sha256()
    with reading(file, seen, as_what="bytes"), file.open(seen) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()


def _check_unchanged(file: FileObject, seen: FileIdentity) -> None:
    try:
        now = file.identity()
    except FileNotFoundError as error:
        raise DataChangedError(
            f"{file.uri} disappeared while it was in use. Hint: try again when its writer is done."
        ) from error
    except OSError as error:
        raise _explained(error, file.uri, "readable") from error
    if now != seen:
        raise DataChangedError(
            f"{file.uri} changed while it was in use: {seen.size_bytes} bytes of {seen.modified_at.isoformat()} then, "
            f"{now.size_bytes} of {now.modified_at.isoformat()} now. Hint: let writers write elsewhere and rename."
        )


def _explained(error: Exception, uri: str, as_what: str) -> Exception:
    import pyarrow as pa

    if isinstance(error, InputError):
        return InputError(f"{uri}: {error}")
    if isinstance(error, MLOpsError):
        return error
    if isinstance(error, PermissionError):
        return InputError(f"{uri} must not be read by this worker's user. Hint: check its permissions.")
    if isinstance(error, OSError) and error.errno is not None:
        return OutageError(f"{uri} could not be read: {error.strerror}. Nothing was changed.")
    if isinstance(error, (pa.ArrowException, OSError, EOFError, ValueError)):
        return InputError(f"{uri} is not a whole {as_what} file: {_first_line(error)}. Hint: write it again.")
    return error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")
