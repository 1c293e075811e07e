"""One object of S3, read by ranges that all belong to one version of it; must never give bytes of two versions."""

from __future__ import annotations

import errno
import io
import json
import time
from dataclasses import dataclass, field
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.data.file_object import FileIdentity
from airflow_mlops_provider.data.s3_client import s3_errors
from airflow_mlops_provider.data.s3_path import S3Path

if TYPE_CHECKING:
    import pyarrow as pa

# botocore tries again until an answer begins; what breaks off within it is asked for again here.
_PAUSES_SECONDS = (0.2, 1.0, 4.0)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object of a bucket.

    Parameters
    ----------
    path : S3Path
        Its address.
    client : boto3 client of S3
        Reaches it.
    """

    path: S3Path
    client: Any = field(repr=False, compare=False)

    @property
    def uri(self) -> str:
        """Address of the object as ``s3://``."""
        return self.path.uri

    @property
    def key(self) -> str:
        """The address."""
        return self.path.uri

    def open(self, seen: FileIdentity) -> pa.NativeFile:
        """Open the very version that was seen; each read is one request for a range of it."""
        import pyarrow as pa

        return pa.PythonFile(_Ranges(self, seen), mode="r")

    def identity(self) -> FileIdentity:
        """Look the object up now; its digest is of ETag, version and size, so that no byte need be read."""
        with s3_errors(self.uri):
            head = self.client.head_object(Bucket=self.path.bucket, Key=self.path.key)
        etag, version_id, size = head["ETag"], head.get("VersionId", ""), int(head["ContentLength"])
        return FileIdentity(
            size_bytes=size,
            modified_at=head["LastModified"].astimezone(UTC),
            version=f"{etag} {version_id}".rstrip(),
            digest=sha256(json.dumps(["s3", etag, version_id, size]).encode()).hexdigest(),
        )

    def exists(self) -> bool:
        """Tell whether there is such an object."""
        try:
            self.identity()
        except FileNotFoundError:
            return False
        return True

    def read(self, seen: FileIdentity, *, start: int, size: int) -> bytes:
        """Read a range of the version that was seen.

        Raises
        ------
        DataChangedError
            The object is another one now.
        """
        etag, _, version_id = seen.version.partition(" ")
        asked = {
            "Bucket": self.path.bucket,
            "Key": self.path.key,
            "Range": f"bytes={start}-{start + size - 1}",
            "IfMatch": etag,
            **({"VersionId": version_id} if version_id not in ("", "null") else {}),
        }
        for pause in (*_PAUSES_SECONDS, None):
            with s3_errors(self.uri):
                answer = self.client.get_object(**asked)
            try:
                with s3_errors(self.uri):
                    found: bytes = answer["Body"].read()
                if len(found) == size:
                    return found
                raise OutageError(f"{self.uri}: S3 gave {len(found)} of {size} bytes. Nothing was changed.")
            except OutageError:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("unreachable")


class _Ranges(io.RawIOBase):
    """A file whose every read is a request."""

    def __init__(self, file: S3Object, seen: FileIdentity) -> None:
        super().__init__()
        self._file = file
        self._seen = seen
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._seen.size_bytes}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "a place before the beginning")
        self._place = start + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._seen.size_bytes - self._place)
        size = left if size is None or size < 0 else min(size, left)
        found = self._file.read(self._seen, start=self._place, size=size) if size else b""
        self._place += len(found)
        return found
