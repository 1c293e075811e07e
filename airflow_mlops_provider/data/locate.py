"""Turns what a user passes as data into a list of files; must never read what is in them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_mlops_provider.core.errors import InputError, NoDataError
from airflow_mlops_provider.data.file_object import FileObject, LocalFile, local_uri
from airflow_mlops_provider.data.formats import Format, format_of

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CREDENTIALS = re.compile(r"//[^/@]*@")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a data set.

    Parameters
    ----------
    file : FileObject
        Its bytes.
    format : Format
        How to read them.
    name : str
        Its path below the folder or pattern that found it; part of the data set's fingerprint.
    partition : mapping
        Values that the folders between say, ``month=2024-05`` for instance; None stands for null.
    """

    file: FileObject
    format: Format
    name: str
    partition: Mapping[str, str | None]


def locate(data: Any) -> tuple[str, list[FileEntry]]:
    """Find the files that `data` means.

    Parameters
    ----------
    data : str, pathlib.Path, Asset or sequence of those
        A path, a ``file://`` URI, a folder or a pattern (``*``, ``?``, ``[]``, ``**``); of an asset, its URI counts.
        Below a folder or pattern, names that begin with a dot or an underscore are no data.

    Returns
    -------
    uri : str
        One address for all of it, without credentials.
    entries : list of FileEntry
        At least one, sorted by name, so that an order given by the user does not matter.

    Raises
    ------
    InputError
        Nothing is there, formats are mixed, a file is meant twice, or the kind of address cannot be read.
    """
    items = list(data) if isinstance(data, (list, tuple, set, frozenset)) else [data]
    if not items:
        raise InputError("data is an empty list. Hint: name at least one file.")
    patterns = [_local_path(item) for item in items]
    entries = [entry for pattern in patterns for entry in _entries_of(pattern)]
    entries.sort(key=lambda entry: (entry.name, entry.file.uri))
    uri = ", ".join(sorted(map(local_uri, patterns)))
    _check_distinct(entries)
    formats = {entry.format.name: entry for entry in entries}
    if len(formats) > 1:
        found = " and ".join(f"{name} ({entry.name})" for name, entry in sorted(formats.items()))
        raise InputError(f"{uri} mixes formats: {found}. Hint: choose one by a pattern such as '*.parquet'.")
    return uri, entries


def _local_path(item: Any) -> str:
    """Return the absolute path or pattern that one item means."""
    text = getattr(item, "uri", item)
    if isinstance(text, os.PathLike):
        text = os.fspath(text)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InputError(
            f"data must be a path, URI, asset, query or list of those; got {type(item).__name__} {text!r:.100}."
        )
    match = _SCHEME.match(text)
    if match is None:
        return os.path.abspath(os.path.expanduser(text))
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme != "file":
        shown = _CREDENTIALS.sub("//", text)
        raise InputError(
            f"{shown} cannot be read: of URIs, only file:// is known. Hint: copy the data to the worker first."
        )
    host, _, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise InputError(
            f"{text} names the host {host!r}. Hint: a local file has three slashes, as in file:///data/x.csv."
        )
    return os.path.abspath(unquote("/" + path))


def _entries_of(pattern: str) -> list[FileEntry]:
    """Expand one path or pattern; what exists under the very name is no pattern."""
    if os.path.isfile(pattern):
        return [_entry(pattern, root=os.path.dirname(pattern), with_partition=False)]
    if os.path.isdir(pattern):
        root, found = pattern, [pattern]
    elif glob.has_magic(pattern):
        root, found = _root_of(pattern), glob.glob(pattern, recursive=True, include_hidden=True)
    else:
        raise NoDataError(
            f"{local_uri(pattern)} does not exist. Hint: relative paths start at {os.getcwd()} on this worker."
        )
    paths = {path for match in found for path in _files_below(match) if _is_data(os.path.relpath(path, root))}
    if not paths:
        raise NoDataError(
            f"{local_uri(pattern)} holds no data file. Hint: names that begin with '.' or '_' do not count."
        )
    return [_entry(path, root=root, with_partition=True) for path in paths]


def _root_of(pattern: str) -> str:
    """Return the folder before the first wildcard."""
    root = pattern
    while glob.has_magic(root):
        root = os.path.dirname(root)
    return root


def _files_below(path: str) -> list[str]:
    if os.path.isfile(path):
        return [path]
    return [os.path.join(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names]


def _is_data(relative: str) -> bool:
    """Tell whether a file counts, by the rule of Hive and Spark: ``_SUCCESS``, ``_temporary``, ``.part.crc`` do not."""
    return not any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in Path(relative).parts)


def _entry(path: str, *, root: str, with_partition: bool) -> FileEntry:
    relative = Path(os.path.relpath(path, root))
    folders = relative.parts[:-1] if with_partition else ()
    pairs = [folder.partition("=") for folder in folders if "=" in folder.lstrip("=")]
    values = {unquote(name): unquote(value) for name, _, value in pairs}
    file = LocalFile(Path(path))
    return FileEntry(
        file=file,
        format=format_of(file.uri),
        name=relative.as_posix(),
        partition={name: None if value == _HIVE_NULL else value for name, value in values.items()},
    )


def _check_distinct(entries: Sequence[FileEntry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.file.key in seen:
            raise InputError(f"{entry.file.uri} is in the data twice. Hint: let the paths and patterns not overlap.")
        seen.add(entry.file.key)
