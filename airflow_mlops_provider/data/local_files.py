"""Local paths, folders and patterns to files; must never read what is in them."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from airflow_mlops_provider.core.errors import NoDataError
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.file_entry import FileEntry, entry_of, is_data
from airflow_mlops_provider.data.file_object import LocalFile, local_uri


def local_entries(pattern: str, access: DataAccess) -> list[FileEntry]:
    """Expand one absolute path or pattern; what exists under the very name is no pattern.

    Raises
    ------
    NoDataError
        Nothing is there.
    InputError
        A file has no known suffix, or is not allowed.
    """
    access.check_local(pattern if os.path.exists(pattern) else _root_of(pattern))
    if os.path.isfile(pattern):
        return [_entry(pattern, root=os.path.dirname(pattern), with_partition=False, access=access)]
    if os.path.isdir(pattern):
        root, found = pattern, [pattern]
    elif glob.has_magic(pattern):
        root, found = _root_of(pattern), glob.glob(pattern, recursive=True, include_hidden=True)
    else:
        raise NoDataError(
            f"{local_uri(pattern)} does not exist. Hint: relative paths start at {os.getcwd()} on this worker."
        )
    paths = {path for match in found for path in _files_below(match) if is_data(os.path.relpath(path, root))}
    if not paths:
        raise NoDataError(
            f"{local_uri(pattern)} holds no data file. Hint: names that begin with '.' or '_' do not count."
        )
    return [_entry(path, root=root, with_partition=True, access=access) for path in paths]


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


def _entry(path: str, *, root: str, with_partition: bool, access: DataAccess) -> FileEntry:
    access.check_local(path)
    return entry_of(LocalFile(Path(path)), relative=os.path.relpath(path, root), with_partition=with_partition)
