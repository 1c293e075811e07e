"""Profiles in MLflow: written as artifacts of runs, read back by address, and the one a model version was trained on.

An address is ``runs:/<run id>/<path>``: what tasks hand on to each other instead of the profile itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.registry.artifacts import read

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

PROFILE = "profile/profile.json"
TRAINING_PROFILE = "evidence/profile.json"
TRAINING_SUITE = "evidence/expectations.json"

_ADDRESS = re.compile(r"runs:/(?P<run_id>[0-9a-f]{32})/(?P<path>[\w./-]+)")


def is_address(text: Any) -> bool:
    """Tell whether a value is the address of an artifact of a run.

    Examples
    --------
    >>> is_address("runs:/0123456789abcdef0123456789abcdef/profile/profile.json"), is_address("s3://bucket/data")
    (True, False)
    """
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None and ".." not in text


def write_profile(run: LoggedRun, profile: DatasetProfile, path: str = PROFILE) -> str:
    """Store a profile in a run and return its address."""
    run.log_text(profile.to_json(), path)
    return f"runs:/{run.run_id}/{path}"


def read_profile(registry: Registry, address: str) -> DatasetProfile:
    """Read a profile by its address.

    Raises
    ------
    InputError
        It is no address, there is no such artifact, or it is no profile.
    """
    return DatasetProfile.from_json(_read(registry, address, what="profile"))


def training_profile(registry: Registry, version: Version) -> DatasetProfile:
    """Read the profile of the rows a version was trained on.

    Raises
    ------
    InputError
        The version carries none.
    """
    if not version.run_id:
        raise InputError(f"{version.label} has no MLflow run, so it carries no profile of its training rows.")
    return read_profile(registry, f"runs:/{version.run_id}/{TRAINING_PROFILE}")


def training_suite(registry: Registry, version: Version) -> list[dict[str, Any]]:
    """Read the expectations that a version carries.

    Raises
    ------
    InputError
        The version carries none.
    """
    if not version.run_id:
        raise InputError(f"{version.label} has no MLflow run, so it carries no expectations.")
    address = f"runs:/{version.run_id}/{TRAINING_SUITE}"
    try:
        found: list[dict[str, Any]] = json.loads(_read(registry, address, what="suite of expectations"))["expectations"]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The suite of expectations at {address} is damaged. Hint: train the model again.") from error
    return found


def _read(registry: Registry, address: str, *, what: str) -> str:
    match = _ADDRESS.fullmatch(address) if is_address(address) else None
    if match is None:
        raise InputError(f"The address of a {what} must look like runs:/<run id>/<path>; got {address!r}.")
    content = read(registry, run_id=match["run_id"], path=match["path"])
    if content is None:
        raise InputError(
            f"There is no {what} at {address} in MLflow at {registry.server.uri}. "
            "Hint: was it made by an earlier version of this package, or was the run deleted?"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"The {what} at {address} is damaged: {error}.") from error
