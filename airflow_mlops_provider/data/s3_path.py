"""What an ``s3://`` address means, and which addresses are refused; must never reach for the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_mlops_provider.core.errors import InputError

SCHEME = "s3://"
# As botocore checks it; S3 itself is stricter, S3-compatible stores are not.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CONN_ID = re.compile(r"[A-Za-z0-9_.-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOGIN = re.compile(r"\A([A-Za-z][\w+.-]*:/*)?.*@", re.DOTALL)
_MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Path:
    """One place in a bucket: an object, a prefix or a pattern.

    Parameters
    ----------
    bucket : str
        Its name.
    key : str
        Below the bucket, without a slash at its ends; empty for the whole bucket. As S3 takes it: not percent-encoded.
    conn_id : str or None
        Connection named in the address; None for the default one.
    is_folder : bool
        Whether the address ended in a slash, so that it cannot be an object.
    """

    bucket: str
    key: str
    conn_id: str | None = None
    is_folder: bool = False

    @property
    def uri(self) -> str:
        """The address, with the connection if it names one."""
        return f"{SCHEME}{f'{self.conn_id}@' if self.conn_id else ''}{self.bucket}/{self.key}".rstrip("/")

    @property
    def public_uri(self) -> str:
        """The address by which the place is known to all, whoever reaches it through which connection."""
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    def at(self, key: str) -> S3Path:
        """Return another place in the same bucket."""
        return S3Path(bucket=self.bucket, key=key, conn_id=self.conn_id)


def is_s3(text: str) -> bool:
    """Tell whether an address is one of S3."""
    return text[: len(SCHEME)].lower() == SCHEME


def without_login(text: str) -> str:
    """Return an address for messages: what stands before its last @ may be a login, whose secret may hold slashes.

    Examples
    --------
    >>> without_login("s3://AKIA:se/cret@lake/x.csv")
    's3://lake/x.csv'
    """
    return _LOGIN.sub(lambda match: match[1] or "", text, count=1)


def s3_path(text: str) -> S3Path:
    """Read an address ``s3://bucket/key`` or ``s3://conn_id@bucket/key``.

    Raises
    ------
    InputError
        It holds a password, its bucket is no name of one, or its key could be read as another: ``.``, ``..`` or
        nothing between two slashes, also percent-encoded; control characters.

    Examples
    --------
    >>> s3_path("s3://minio@lake/churn/day=2026-11-01/")
    S3Path(bucket='lake', key='churn/day=2026-11-01', conn_id='minio', is_folder=True)
    """
    authority, _, key = text[len(SCHEME) :].partition("/")
    login, at, bucket = authority.rpartition("@")
    shown = without_login(text)
    # A secret key may hold slashes, and then the @ is not where it is looked for.
    if (at and not _CONN_ID.fullmatch(login)) or (not _BUCKET.fullmatch(bucket) and "@" in key):
        raise InputError(
            f"{shown} must not hold credentials; before the @ stands the name of an Airflow connection. "
            "Hint: put keys into a connection of type aws."
        )
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"{shown} must name a bucket. Hint: e.g. s3://bucket/folder/.")
    is_folder = key.endswith("/") or not key
    key = key.removesuffix("/")
    _check_key(key, shown)
    return S3Path(bucket=bucket, key=key, conn_id=login or None, is_folder=is_folder)


def _check_key(key: str, shown: str) -> None:
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise InputError(f"{shown[:100]}… has a key of more than {_MAX_KEY_BYTES} bytes, which S3 does not have.")
    plain, before = key, None
    while plain != before:  # %252e is %2e, which is a dot to whoever decodes again
        plain, before = unquote(plain), plain
        if _CONTROL.search(plain):
            raise InputError(f"{shown!r} holds control characters. Hint: check what wrote it.")
        if key and any(part in ("", ".", "..") for part in re.split(r"[/\\]", plain)):
            raise InputError(
                f"{shown} has a part that is empty, '.' or '..'. Hint: name the key as S3 lists it, without detours."
            )
