"""Registered versions and their aliases: making one, finding one, moving an alias; never decides which should serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from airflow_mlops_provider.registry.session import Registry

CHAMPION = "champion"
CHALLENGER = "challenger"
# Of MLflow's database schema; PostgreSQL refuses longer names, SQLite does not.
MAX_NAME_CHARACTERS = 256


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
    """

    model_name: str
    version: str
    run_id: str | None
    model_id: str | None
    tags: Mapping[str, str]

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"version {self.version} of model {self.model_name!r}"


def check_model_name(model_name: Any) -> None:
    """Raise :class:`InputError` for a name that MLflow would refuse, so that nobody trains an hour for it."""
    if not isinstance(model_name, str) or not model_name.strip() or len(model_name) > MAX_NAME_CHARACTERS:
        raise InputError(f"model_name must be a text of 1 to {MAX_NAME_CHARACTERS} characters; got {model_name!r}.")
    if any(character in model_name for character in "/:") or model_name == "." or model_name.startswith(".."):
        raise InputError(f"model_name must be no path and hold no '/' or ':' (MLflow's rule); got {model_name!r}.")


def register(
    registry: Registry, *, model_name: str, model_id: str, run_id: str, tags: Mapping[str, Any], description: str
) -> Version:
    """Register a logged model as a new version and make it the challenger.

    Returns
    -------
    Version
        The new version.
    """
    from mlflow.exceptions import MlflowException

    client = registry.client
    try:
        client.create_registered_model(model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        model_name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        tags={key: str(value) for key, value in tags.items()},
        description=description,
    )
    version = _version(made)
    client.set_registered_model_alias(model_name, CHALLENGER, version.version)
    return version


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
        return _version(registry.client.get_model_version(model_name, str(version)))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise InputError(
                f"Model {model_name!r} has no version {version} at {registry.server.uri}. Hint: was it deleted?"
            ) from error
        raise


def resolve(registry: Registry, model_name: str, version: str | int | None, *, alias: str) -> Version:
    """Return the named version, or the one under `alias` when none is named.

    Raises
    ------
    InputError
        There is none.
    """
    if version not in (None, ""):
        return by_number(registry, model_name, str(version))
    found = by_alias(registry, model_name, alias)
    if found is None:
        raise InputError(
            f"Model {model_name!r} has no version with alias {alias!r} at {registry.server.uri}. "
            "Hint: train one with TrainModelOperator, or name a version."
        )
    return found


def _model_id(found: ModelVersion) -> str | None:
    """Return MLflow's id of the logged model; its own database keeps it in the source only."""
    if found.model_id:
        return str(found.model_id)
    source = str(found.source or "")
    is_logged_model = source.startswith("models:/m-") and "/" not in source.removeprefix("models:/")
    return source.removeprefix("models:/") if is_logged_model else None


def _version(found: ModelVersion) -> Version:
    return Version(
        model_name=found.name,
        version=str(found.version),
        run_id=found.run_id or None,
        model_id=_model_id(found),
        tags=dict(found.tags or {}),
    )
