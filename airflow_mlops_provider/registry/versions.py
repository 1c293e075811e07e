"""Registered versions and their aliases: finding one; never makes one and never decides which should serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import VersionRef

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from airflow_mlops_provider.registry.session import Registry

CHAMPION = "champion"
CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One registered version.

    Parameters
    ----------
    model_name, version : str
        Which.
    run_id : str or None
        The MLflow run behind it.
    model_id : str or None
        MLflow's id of its files.
    tags : mapping of str to str
        Its tags.
    created_ms : int
        When it was made, in milliseconds since 1970.
    """

    model_name: str
    version: str
    run_id: str | None
    model_id: str | None
    tags: Mapping[str, str]
    created_ms: int = 0

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"version {self.version} of model {self.model_name!r}"

    @property
    def title(self) -> str:
        """How messages name it at the beginning of a sentence."""
        return f"V{self.label[1:]}"

    def reference(self, manifest_sha256: str | None = None) -> VersionRef:
        """Return what a ledger keeps of it, with the hash of its files' list when they were checked."""
        return VersionRef(
            version=self.version,
            created_ms=self.created_ms,
            run_id=self.run_id,
            model_id=self.model_id,
            manifest_sha256=manifest_sha256,
        )


def by_alias(registry: Registry, model_name: str, alias: str) -> Version | None:
    """Return the version an alias points at; None when the model or the alias does not exist.

    Raises
    ------
    InputError
        The alias points at a version that was deleted.
    """
    from mlflow.exceptions import MlflowException

    try:
        model = registry.client.get_registered_model(model_name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    number = (model.aliases or {}).get(alias)
    if number is None:
        return None
    return by_number(registry, model_name, str(number))


def newest(registry: Registry, model_name: str) -> Version | None:
    """Return the version with the highest number; None when the model or its versions do not exist."""
    from mlflow.exceptions import MlflowException

    try:
        model = registry.client.get_registered_model(model_name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    # MLflow lists the newest of each stage.
    found = [from_mlflow(one) for one in model.latest_versions]
    return max(found, key=lambda one: int(one.version), default=None)


def by_number(registry: Registry, model_name: str, version: str) -> Version:
    """Return a version by its number.

    Raises
    ------
    InputError
        There is no such version.
    """
    from mlflow.exceptions import MlflowException

    if not str(version).isdigit():
        raise InputError(f"Version of model {model_name!r} must be a number; got {version!r}.")
    try:
        return from_mlflow(registry.client.get_model_version(model_name, str(version)))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise InputError(
                f"Model {model_name!r} has no version {version} at {registry.server.uri}. Hint: was it deleted?"
            ) from error
        raise


def _model_id(found: ModelVersion) -> str | None:
    """Return MLflow's id of the logged model; its own database keeps it in the source only."""
    if found.model_id:
        return str(found.model_id)
    source = str(found.source or "")
    is_logged_model = source.startswith("models:/m-") and "/" not in source.removeprefix("models:/")
    return source.removeprefix("models:/") if is_logged_model else None


def from_mlflow(found: ModelVersion) -> Version:
    """Return what MLflow's client found in our terms."""
    return Version(
        model_name=found.name,
        version=str(found.version),
        run_id=found.run_id or None,
        model_id=_model_id(found),
        tags=dict(found.tags or {}),
        created_ms=int(found.creation_timestamp or 0),
    )
