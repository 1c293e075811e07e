"""The example rows that a version carries, with what the model said of them when it was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.artifacts import read

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

EXAMPLE = "evidence/example.json"


def write_example(run: LoggedRun, example: Mapping[str, Any]) -> None:
    """Store an example in the run behind a version."""
    run.log_dict(example, EXAMPLE)


def read_example(registry: Registry, version: Version) -> dict[str, Any] | None:
    """Return the example that a version carries; None when it was trained without one.

    Raises
    ------
    InputError
        It is damaged, or not the one that was written in training.
    """
    if not version.run_id:
        return None
    content = read(registry, run_id=version.run_id, path=EXAMPLE)
    if content is None:
        return None
    try:
        found = json.loads(content)
    except ValueError as error:
        raise InputError(f"The example of {version.label} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise InputError(f"The example of {version.label} cannot be read: it is no JSON object.")
    return found
