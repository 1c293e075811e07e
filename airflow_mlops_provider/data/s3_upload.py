"""One object uploaded in parts, which is seen complete or not at all; must never decide what may be replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import DataChangedError, OutageError
from airflow_mlops_provider.data.s3_client import s3_errors
from airflow_mlops_provider.data.s3_path import S3Path

STATE = "Nothing was published; what was uploaded so far is removed by the next try."
TOKEN = "mlops-upload"  # noqa: S105  # the name of a metadata field
OWNER = "mlops-owner"
_PART_BYTES = 8 << 20
# S3 takes 10,000.
_MAX_PARTS = 9_000
_THREADS = 4


@dataclass(slots=True, kw_only=True)
class Upload:
    """A multipart upload.

    Parameters
    ----------
    client : boto3 client of S3
        Reaches the bucket.
    path : S3Path
        Where the object will be.
    file : pathlib.Path
        Its bytes.
    owner, token : str
        Whose it is, and which try's: both stay with the object.
    """

    client: Any
    path: S3Path
    file: Path
    owner: str
    token: str
    upload_id: str = ""
    _parts: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """Ask S3 for an upload."""
        with s3_errors(self.path.uri, state=STATE):
            answer = self.client.create_multipart_upload(
                Bucket=self.path.bucket, Key=self.path.key, Metadata={OWNER: self.owner, TOKEN: self.token}
            )
        self.upload_id = answer["UploadId"]

    def parts(self) -> list[tuple[int, int, int]]:
        """Return number, start and size of each part."""
        size = self.file.stat().st_size
        step = max(_PART_BYTES, -(-size // _MAX_PARTS))
        return [(number, start, step) for number, start in enumerate(range(0, size, step), start=1)]

    def send(self, number: int, start: int, size: int) -> None:
        """Upload one part."""
        with self.file.open("rb") as file:
            file.seek(start)
            body = file.read(size)
        with s3_errors(self.path.uri, state=STATE):
            answer = self.client.upload_part(
                Bucket=self.path.bucket, Key=self.path.key, UploadId=self.upload_id, PartNumber=number, Body=body
            )
        kept = {key: value for key, value in answer.items() if key == "ETag" or key.startswith("ChecksumCRC")}
        self._parts.append({"PartNumber": number, **kept})

    def complete(self, condition: Mapping[str, str]) -> None:
        """Let the object be seen.

        Parameters
        ----------
        condition : mapping
            ``IfNoneMatch`` or ``IfMatch``: what must be there until then.

        Raises
        ------
        DataChangedError
            Something else came to be there.
        OutageError
            S3 failed, or another try of the same task aborted this upload.
        """
        parts = sorted(self._parts, key=lambda part: part["PartNumber"])
        try:
            with s3_errors(self.path.uri, state=STATE):
                self.client.complete_multipart_upload(
                    Bucket=self.path.bucket,
                    Key=self.path.key,
                    UploadId=self.upload_id,
                    MultipartUpload={"Parts": parts},
                    **condition,
                )
        except (DataChangedError, FileNotFoundError, OutageError) as error:
            # The answer to a first request that did its work may have been lost.
            if self._is_there():
                return
            if isinstance(error, FileNotFoundError):
                raise OutageError(f"{self.path.uri}: another try of the same task aborted this upload.") from error
            raise

    def _is_there(self) -> bool:
        with suppress(FileNotFoundError), s3_errors(self.path.uri, state=STATE):
            head = self.client.head_object(Bucket=self.path.bucket, Key=self.path.key)
            return bool(head.get("Metadata", {}).get(TOKEN) == self.token)
        return False


def send_all(uploads: Sequence[Upload]) -> None:
    """Upload all parts of all objects, a few at a time."""
    with ThreadPoolExecutor(_THREADS) as pool:
        sent = [pool.submit(one.send, *part) for one in uploads for part in one.parts()]
        try:
            for one in sent:
                one.result()
        finally:
            for one in sent:
                one.cancel()


def abort(client: Any, *, bucket: str, key: str, upload_id: str) -> None:
    """Throw away an upload; one that is complete or aborted is left as it is."""
    with suppress(FileNotFoundError), s3_errors(f"s3://{bucket}/{key}"):
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
