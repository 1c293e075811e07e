"""Tables in S3: built on the worker's disk, uploaded in parts, and let be seen at the end.

A file appears in one step. The files of a folder appear one after the other, which S3 cannot help; until its
``_SUCCESS`` is there, a mark in the folder tells readers of this package that it is no data yet. Each try has a mark
with the uploads it began, by which the next try finds and aborts them. It must never touch what another task wrote
unless it is told to.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import DataChangedError, MLOpsError, OutageError
from airflow_mlops_provider.data.about_table import SUCCESS, about_file, about_text, check_owner
from airflow_mlops_provider.data.local_output import remove
from airflow_mlops_provider.data.s3_client import s3_errors
from airflow_mlops_provider.data.s3_files import UNFINISHED, list_keys
from airflow_mlops_provider.data.s3_object import S3Object
from airflow_mlops_provider.data.s3_path import S3Path
from airflow_mlops_provider.data.s3_upload import OWNER, STATE, Upload, abort, send_all


@dataclass(frozen=True, slots=True)
class S3Place:
    """A key for one table, or the folder for one.

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
        """Address that reads the table."""
        return self.path.uri

    @property
    def public_uri(self) -> str:
        """Address without the connection."""
        return self.path.public_uri

    @property
    def name(self) -> str:
        """Last part of the key."""
        return self.path.name

    def beside(self, name: str) -> S3Place:
        """Return another place in the same folder."""
        return S3Place(self.path.at(f"{self.path.key[: -len(self.name)]}{name}"), self.client)

    @property
    def is_file(self) -> bool:
        """Whether a table here is one object; else it is a folder."""
        return self.name.endswith(".parquet")

    def about(self) -> dict[str, Any] | None:
        """Return what a table here says of itself; None for anything else, or nothing."""
        try:
            if not self.is_file:
                return about_text(self.read(f"{self.path.key}/{SUCCESS}"))
            file = S3Object(self.path, self.client)
            with file.open(file.identity()) as stream:
                return about_file(stream)
        except FileNotFoundError:
            return None

    def check_free(self, *, owner: str, overwrite: bool) -> None:
        """Refuse when something else than this owner's table is there; raises `InputError`."""
        if overwrite or not (keys := self.keys()):
            return
        found = self.about()
        if found is None and all(self.owner_of(key) == owner for key in keys):
            return  # a kill left it half published
        check_owner(found, owner=owner, uri=self.uri)

    def stage(self, *, owner: str) -> S3Staging:
        """Begin a try."""
        return S3Staging(self, owner=owner)

    def keys(self) -> list[str]:
        """Return the keys of what is here: the object, or all in the folder but for marks."""
        if self.is_file:
            return [self.path.key] if S3Object(self.path, self.client).exists() else []
        below = f"{self.path.key}/"
        found = list_keys(self.client, bucket=self.path.bucket, prefix=below, uri=self.uri)
        return [key for key in found if not key.removeprefix(below).startswith(UNFINISHED)]

    def owner_of(self, key: str) -> str | None:
        """Return whose an object is; None for what this package did not write."""
        with s3_errors(self.uri):
            head = self.client.head_object(Bucket=self.path.bucket, Key=key)
        found: str | None = head.get("Metadata", {}).get(OWNER)
        return found

    def read(self, key: str) -> bytes:
        """Read a small object; raises `FileNotFoundError`."""
        with s3_errors(self.uri):
            return bytes(self.client.get_object(Bucket=self.path.bucket, Key=key)["Body"].read())

    def write(self, key: str, body: str, **condition: str) -> None:
        """Write a small object in one step."""
        with s3_errors(self.uri, state=STATE):
            self.client.put_object(Bucket=self.path.bucket, Key=key, Body=body.encode(), **condition)

    def write_new(self, text: str) -> bool:
        """Write a small object where nothing is; False when something else is there.

        What an earlier try wrote is taken for this one's.
        """
        try:
            self.write(self.path.key, text, IfNoneMatch="*")
        except DataChangedError:
            body = text.encode()
            with suppress(FileNotFoundError):
                size = S3Object(self.path, self.client).identity().size_bytes
                return size == len(body) and self.read(self.path.key) == body
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        with s3_errors(self.uri, state=STATE):
            self.client.delete_object(Bucket=self.path.bucket, Key=key)


class S3Staging:
    """A file or folder on the worker's disk, and a mark in the bucket.

    Raises
    ------
    InputError
        The bucket refuses.
    OutageError
        S3 does not answer.
    """

    def __init__(self, place: S3Place, *, owner: str) -> None:
        self._place = place
        self._owner = owner
        self._token = secrets.token_hex(4)
        self._uploads: list[Upload] = []
        self._is_over = False
        self.path = self._local_path()
        hidden = place.beside(f".{place.name}.").path.key if place.is_file else f"{place.path.key}/{UNFINISHED}"
        prefix = f"{hidden}{owner[:16]}."
        earlier = list(list_keys(place.client, bucket=place.path.bucket, prefix=prefix, uri=place.uri))
        self._mark = f"{prefix}{self._token}"
        place.write(self._mark, "{}")
        for mark in earlier:
            self._clean(mark)

    def publish(self, *, overwrite: bool) -> None:
        """Upload the table and let it be seen.

        Raises
        ------
        InputError
            Something else came to be there meanwhile.
        OutageError
            S3 failed, or another try of the same task cleaned this one away.
        """
        self._begin()
        send_all(self._uploads)
        before = self._place.keys()
        try:
            if self._place.is_file:
                self._uploads[0].complete({} if overwrite else self._condition(before))
            else:
                self._publish_folder(before, overwrite=overwrite)
        except DataChangedError as error:
            self._place.check_free(owner=self._owner, overwrite=overwrite)
            raise OutageError(f"{self._place.uri} was published by another try of the same task.") from error
        self._is_over = True
        self._place.delete(self._mark)

    def close(self) -> None:
        """Remove what was not published; what S3 does not let be removed now, the next try removes."""
        remove(self.path)
        if self._is_over:
            return
        self._is_over = True
        with suppress(MLOpsError):
            for one in self._uploads:
                abort(self._place.client, bucket=one.path.bucket, key=one.path.key, upload_id=one.upload_id)
            self._place.delete(self._mark)

    def _begin(self) -> None:
        place = self._place
        try:
            place.read(self._mark)
        except FileNotFoundError:
            raise OutageError(f"{place.uri}: another try of the same task cleaned this one away.") from None
        files = {place.path.key: self.path}
        if not place.is_file:
            found = [one for one in sorted(self.path.rglob("*")) if one.is_file() and one.name != SUCCESS]
            files = {f"{place.path.key}/{one.relative_to(self.path).as_posix()}": one for one in found}
        for key, file in files.items():
            one = Upload(client=place.client, path=place.path.at(key), file=file, owner=self._owner, token=self._token)
            one.begin()
            self._uploads.append(one)
        # Before the first byte is sent, so that none is ever left without a mark.
        place.write(self._mark, json.dumps({one.upload_id: one.path.key for one in self._uploads}))

    def _publish_folder(self, before: list[str], *, overwrite: bool) -> None:
        success, about = f"{self._place.path.key}/{SUCCESS}", (self.path / SUCCESS).read_text()
        # From here to the end, a folder that replaces another is no data.
        self._place.delete(success)
        for one in self._uploads:
            one.complete({})
        for key in set(before) - {one.path.key for one in self._uploads}:
            self._place.delete(key)
        try:
            self._place.write(success, about, **({} if overwrite else {"IfNoneMatch": "*"}))
        except DataChangedError:
            if self._place.read(success).decode() != about:  # else the answer to a first request was lost
                raise

    def _condition(self, before: list[str]) -> Mapping[str, str]:
        if not before:
            return {"IfNoneMatch": "*"}
        version = S3Object(self._place.path, self._place.client).identity().version
        return {"IfMatch": version.partition(" ")[0]}

    def _clean(self, mark: str) -> None:
        """Abort what an earlier try began."""
        with suppress(FileNotFoundError):
            begun = about_text(self._place.read(mark)) or {}
            for upload_id, key in begun.items():
                abort(self._place.client, bucket=self._place.path.bucket, key=key, upload_id=upload_id)
            self._place.delete(mark)

    def _local_path(self) -> Path:
        """Return where to build the table; what a killed try left on this worker is removed."""
        key = hashlib.sha256(f"{self._owner} {self._place.uri}".encode()).hexdigest()[:16]
        folder, prefix = Path(tempfile.gettempdir()), f"mlops-output-{os.getuid()}-{key}-"
        for old in folder.glob(f"{prefix}*"):
            remove(old)
        return folder / f"{prefix}{self._token}.part"
