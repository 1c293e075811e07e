"""Where rows go: what an output means, and whether it is free; must never write anything."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.file_object import local_uri

SUCCESS = "_SUCCESS"
ABOUT = b"mlops.about"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def local_output(output: Any) -> Path:
    """Return the absolute path that an output means.

    Parameters
    ----------
    output : str, pathlib.Path or Asset
        A path or ``file://`` URI; of an asset, its URI counts.

    Raises
    ------
    InputError
        It is no path, or a URI of another kind.
    """
    text = getattr(output, "uri", output)
    text = os.fspath(text) if isinstance(text, os.PathLike) else text
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InputError(f"output must be a path, file:// URI or asset; got {type(output).__name__} {text!r:.100}.")
    match = _SCHEME.match(text)
    if match is None:
        return Path(os.path.abspath(os.path.expanduser(text)))
    host, _, rest = text[match.end() :].partition("/")
    if match[1].lower() != "file" or host not in ("", "localhost"):
        raise InputError(
            f"output {match[1]}://… cannot be written: only local paths and file:/// URIs can. "
            "Hint: write to a folder all workers share, or copy the file in a later task."
        )
    return Path(os.path.abspath(unquote("/" + rest)))


def check_free(path: Path, *, owner: str, overwrite: bool) -> None:
    """Refuse a path where something else than this owner's table is.

    Raises
    ------
    InputError
        With what is there.
    """
    if not os.path.lexists(path) or overwrite:
        return
    found = about_table(path)
    if found is not None and found.get("owner") == owner:
        return
    what = f"a table of {found['written_by']}" if found and "written_by" in found else "something else"
    raise InputError(
        f"There is {what} at output {local_uri(str(path))}, and it is not replaced. "
        "Hint: let the path hold the run, such as {{ ds }}, or set overwrite=True."
    )


def about_table(path: Path) -> dict[str, Any] | None:
    """Return what a table written here says of itself; None for anything else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.is_dir():
            text: str | bytes = (path / SUCCESS).read_text()
        else:
            text = (pq.read_schema(path).metadata or {})[ABOUT]
        found = json.loads(text)
    except (OSError, ValueError, KeyError, pa.ArrowInvalid):
        return None
    return found if isinstance(found, dict) else None
