"""Objects, prefixes and patterns of S3 to files; must never read what is in them.

A folder whose table is still being written, or was left so by a kill, holds a mark and no ``_SUCCESS``; it is no data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from typing import Any

from airflow_mlops_provider.core.errors import NoDataError, UnfinishedDataError
from airflow_mlops_provider.data.about_table import SUCCESS
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.file_entry import FileEntry, entry_of, is_data
from airflow_mlops_provider.data.s3_client import s3_errors
from airflow_mlops_provider.data.s3_object import S3Object
from airflow_mlops_provider.data.s3_path import S3Path

# Begins the names of the marks.
UNFINISHED = "_unfinished."
# As `glob.has_magic` knows them.
_WILDCARD = re.compile(r"[*?[]")


def s3_entries(path: S3Path, access: DataAccess) -> list[FileEntry]:
    """Expand one address; an object under the very key is no pattern.

    Raises
    ------
    NoDataError
        Nothing is there.
    UnfinishedDataError
        Some of it is still being written, or was left so by a kill.
    InputError
        The bucket does not exist or refuses, a file has no known suffix, or the address is not allowed.
    OutageError
        S3 does not answer.
    """
    root = _root_of(path)
    access.check_s3(root)
    client = access.s3_client(path.conn_id)
    if not path.is_folder and S3Object(path, client).exists():
        return [entry_of(S3Object(path, client), relative=path.name, with_partition=False)]
    pattern = [part for part in path.key[len(root.key) :].split("/") if part]
    found = {key[len(root.key) :].lstrip("/"): key for key in _keys_of(root, client, start=_literal_start(pattern))}
    _check_finished(root, found, pattern)
    entries = [
        entry_of(S3Object(path.at(key), client), relative=relative, with_partition=True)
        for relative, key in found.items()
        if is_data(relative) and matches(relative.split("/"), pattern)
    ]
    if not entries:
        raise NoDataError(f"{path.uri} holds no data file. Hint: names that begin with '.' or '_' do not count.")
    return entries


def list_keys(client: Any, *, bucket: str, prefix: str, uri: str) -> Iterator[str]:
    """Yield the keys that begin with a prefix, without the empty objects that stand for folders."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    with s3_errors(uri):
        for page in pages:
            yield from (one["Key"] for one in page.get("Contents", ()) if not one["Key"].endswith("/"))


def _keys_of(root: S3Path, client: Any, *, start: str) -> list[str]:
    """Return the keys below the root that begin so, and those that tell whether the root itself is a whole table."""
    below = f"{root.key}/" if root.key else ""

    def listed(prefix: str) -> list[str]:
        return list(list_keys(client, bucket=root.bucket, prefix=f"{below}{prefix}", uri=root.uri))

    # Before the keys themselves: a mark that goes meanwhile would else not be seen, and half a table be.
    marks = listed(UNFINISHED) if start else []
    return [*marks, *(listed(SUCCESS) if marks else []), *listed(start)]


def _root_of(path: S3Path) -> S3Path:
    """Return the place before the first part with a wildcard."""
    parts = path.key.split("/")
    first = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
    return path.at("/".join(parts[:first]))


def _literal_start(pattern: Sequence[str]) -> str:
    """Return what stands before the first wildcard, so that S3 lists no more than it must."""
    return _WILDCARD.split(pattern[0], maxsplit=1)[0] if pattern else ""


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a key is meant, as :mod:`glob` would: below a match counts, ``**`` is any number of folders."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


def may_hold(folder: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a key that is meant may come to be in a folder, or in one below it."""
    for part, wanted in zip(folder, pattern, strict=False):
        if wanted == "**":
            return True
        if not fnmatchcase(part, wanted):
            return False
    return True


def _check_finished(root: S3Path, found: Collection[str], pattern: Sequence[str]) -> None:
    marks: dict[str, list[str]] = {}
    for relative in found:
        folder, _, name = relative.rpartition("/")
        if name.startswith(UNFINISHED):
            marks.setdefault(folder, []).append(name)
    for folder, names in marks.items():
        parts = folder.split("/") if folder else []
        # What is in a folder that does not count cannot be missed.
        if f"{folder}/{SUCCESS}".lstrip("/") in found or not may_hold(parts, pattern) or not is_data(folder):
            continue
        place = root.at(f"{root.key}/{folder}".strip("/"))
        shown = " and ".join(f"{place.uri}/{name}" for name in sorted(names))
        raise UnfinishedDataError(
            f"{place.uri} holds a table that is not complete yet, says its mark {shown}. Hint: wait for its writer or "
            "let it be retried; if it never will be, delete the folder, or the mark alone to read what is there."
        )
