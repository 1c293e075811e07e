"""Turns what a user passes as data into a list of files; must never read what is in them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.access import DEFAULT_ACCESS, DataAccess
from airflow_mlops_provider.data.file_entry import FileEntry
from airflow_mlops_provider.data.file_object import local_uri
from airflow_mlops_provider.data.local_files import local_entries
from airflow_mlops_provider.data.s3_files import s3_entries
from airflow_mlops_provider.data.s3_path import S3Path, is_s3, s3_path, without_login

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# What is left of a URI that was made a path: pathlib joins slashes. One letter may be a drive.
_LOST_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]+):/")


def locate(data: Any, *, access: DataAccess = DEFAULT_ACCESS) -> tuple[str, list[FileEntry]]:
    """Find the files that `data` means.

    Parameters
    ----------
    data : str, pathlib.Path, Asset or sequence of those
        A path, a ``file://`` URI, an ``s3://bucket/key`` or ``s3://conn_id@bucket/key`` address, a folder or a pattern
        (``*``, ``?``, ``[]``, ``**``); of an asset, its URI counts. Below a folder or pattern, names that begin with a
        dot or an underscore are no data.
    access : DataAccess
        How addresses are reached, and which may be.

    Returns
    -------
    uri : str
        One address for all of it, without credentials.
    entries : list of FileEntry
        At least one, sorted by name, so that an order given by the user does not matter.

    Raises
    ------
    NoDataError
        Nothing is there.
    UnfinishedDataError
        Some of it is still being written.
    InputError
        Formats are mixed, a file is meant twice, the kind of address cannot be read, the address is not allowed, or the
        storage refuses.
    OutageError
        The storage does not answer.
    """
    items = list(data) if isinstance(data, (list, tuple, set, frozenset)) else [data]
    if not items:
        raise InputError("data is an empty list. Hint: name at least one file.")
    places = [place_of(item) for item in items]
    entries = [entry for place in places for entry in _entries_of(place, access)]
    entries.sort(key=lambda entry: (entry.name, entry.file.uri))
    uri = ", ".join(sorted(map(uri_of, places)))
    _check_distinct(entries)
    formats = {entry.format.name: entry for entry in entries}
    if len(formats) > 1:
        found = " and ".join(f"{name} ({entry.name})" for name, entry in sorted(formats.items()))
        raise InputError(f"{uri} mixes formats: {found}. Hint: choose one by a pattern such as '*.parquet'.")
    return uri, entries


def place_of(item: Any, *, what: str = "data") -> str | S3Path:
    """Return what one item means: a place in S3, or the absolute local path or pattern.

    Parameters
    ----------
    item : str, pathlib.Path or Asset
        As the user wrote it.
    what : str
        The argument's name, for messages.

    Raises
    ------
    InputError
        It is no address, or one of another kind.
    """
    text = getattr(item, "uri", item)
    if isinstance(text, os.PathLike):
        text = os.fspath(text)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        shown = without_login(text) if isinstance(text, str) else text
        raise InputError(f"{what} must be a path, URI or asset; got {type(item).__name__} {shown!r:.100}.")
    match = _SCHEME.match(text)
    if match is None:
        if lost := _LOST_SCHEME.match(text):
            raise InputError(
                f"{what} {without_login(text)} has one slash after {lost[1]}:, as a URI has that was made a path. "
                f"Hint: pass {lost[1]}://… as text; a folder of that name needs its absolute path."
            )
        return os.path.abspath(os.path.expanduser(text))
    if is_s3(text):
        return s3_path(text)
    if match[1].lower() != "file":
        raise InputError(
            f"{what} {without_login(text)}: of URIs, only file:// and s3:// are known. Hint: copy it there first."
        )
    return _path_of(text, text[match.end() :])


def uri_of(place: str | S3Path) -> str:
    """Return the address of a place."""
    return place.uri if isinstance(place, S3Path) else local_uri(place)


def _path_of(text: str, rest: str) -> str:
    """Return the path of a ``file://`` URI; unlike a path of the user's own, it takes no detours."""
    host, _, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise InputError(
            f"{without_login(text)} names a host. Hint: a local file has three slashes, as in file:///data/x.csv."
        )
    path = unquote("/" + path)
    if ".." in path.split("/"):
        raise InputError(f"{text} has a part '..'. Hint: name the folder itself.")
    return os.path.abspath(path)


def _entries_of(place: str | S3Path, access: DataAccess) -> list[FileEntry]:
    return s3_entries(place, access) if isinstance(place, S3Path) else local_entries(place, access)


def _check_distinct(entries: Sequence[FileEntry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.file.key in seen:
            raise InputError(f"{entry.file.uri} is in the data twice. Hint: let the paths and patterns not overlap.")
        seen.add(entry.file.key)
