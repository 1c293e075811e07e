"""What a written table says of itself, and whether another may take its place; must never write anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_mlops_provider.core.errors import InputError

SUCCESS = "_SUCCESS"
ABOUT = b"mlops.about"


def about_file(source: Any) -> dict[str, Any] | None:
    """Return what the footer of a Parquet file says; None when it says nothing of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return about_text((pq.read_schema(source).metadata or {})[ABOUT])
    except (OSError, KeyError, pa.ArrowInvalid):
        return None


def about_text(text: str | bytes) -> dict[str, Any] | None:
    """Return what a ``_SUCCESS`` file says; None when it says nothing of ours."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def check_owner(found: Mapping[str, Any] | None, *, owner: str, uri: str) -> None:
    """Refuse to replace a table of another owner, or something that is no table.

    Parameters
    ----------
    found : mapping or None
        What is there says of itself.
    owner : str
        Who wants to write.
    uri : str
        Where, for the message.

    Raises
    ------
    InputError
        With what is there.
    """
    if found is not None and found.get("owner") == owner:
        return
    what = f"a table of {found['written_by']}" if found and "written_by" in found else "something else"
    raise InputError(
        f"There is {what} at output {uri}, and it is not replaced. "
        "Hint: let the path hold the run, such as {{ ds }}, or set overwrite=True."
    )
