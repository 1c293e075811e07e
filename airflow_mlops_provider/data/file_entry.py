"""One file of a data set and what its path says of it, by the rules of Hive; must never look at a storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from airflow_mlops_provider.data.file_object import FileObject
from airflow_mlops_provider.data.formats import Format, format_of

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


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


def is_data(relative: str) -> bool:
    """Tell whether a file counts, by the rule of Hive and Spark: ``_SUCCESS``, ``_temporary``, ``.part.crc`` do not."""
    parts = PurePosixPath(relative).parts
    return not any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in parts)


def entry_of(file: FileObject, *, relative: str, with_partition: bool) -> FileEntry:
    """Make an entry of a file at a path below what the user named.

    Raises
    ------
    InputError
        Its name ends in no known suffix.
    """
    path = PurePosixPath(relative)
    folders = path.parts[:-1] if with_partition else ()
    pairs = [folder.partition("=") for folder in folders if "=" in folder.lstrip("=")]
    values = {unquote(name): unquote(value) for name, _, value in pairs}
    return FileEntry(
        file=file,
        format=format_of(file.uri),
        name=path.as_posix(),
        partition={name: None if value == HIVE_NULL else value for name, value in values.items()},
    )
