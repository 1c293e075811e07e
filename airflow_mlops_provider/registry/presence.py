"""Whether the versions that a ledger names are still there in MLflow, and what errors say when they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import VersionRef
from airflow_mlops_provider.registry.ledger_store import EXPERIMENT, patiently
from airflow_mlops_provider.registry.versions import CHAMPION, from_mlflow

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry


def reference(registry: Registry, model_name: str, version: str) -> VersionRef | None:
    """Return what the ledger keeps of a version, or None when there is no such version."""
    from mlflow.exceptions import MlflowException

    try:
        found = patiently(registry, lambda: registry.client.get_model_version(model_name, version))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return from_mlflow(found).reference()


def require_there(registry: Registry, model_name: str, subject: VersionRef) -> None:
    """Refuse to make a version champion that was deleted after it was chosen.

    Raises
    ------
    InputError
        It is gone.
    """
    there = reference(registry, model_name, subject.version)
    if there is None or not there.is_same_as(subject):
        raise InputError(
            f"Version {subject.version} of model {model_name!r} was deleted from {registry.server.uri} while it was "
            "about to become champion; nothing was changed. Hint: choose another one."
        )


def what_is_gone(registry: Registry, model_name: str, head: VersionRef) -> str | None:
    """Return what an error says of a champion whose version is not there any more; None while it is."""
    there = reference(registry, model_name, head.version)
    where = f"Version {head.version} of model {model_name!r}, the champion by its ledger,"
    if there is None:
        return (
            f"{where} was deleted from {registry.server.uri}. Hint: choose another one with "
            f"RollbackModelOperator(to_version=...); if the whole model was made anew, {begin_anew(model_name)}."
        )
    if not there.is_same_as(head):
        return (
            f"{where} is another one now: the model was deleted from {registry.server.uri} and made anew. "
            f"Hint: {begin_anew(model_name)}."
        )
    return None


def begin_anew(model_name: str) -> str:
    """Return what a hint says of a ledger that is about a model which is no more."""
    return f"rename MLflow's experiment '{EXPERIMENT}.{model_name}' to begin a new ledger"


def taken_away(registry: Registry, model_name: str, head: VersionRef | None) -> str:
    """Return what an error says of a champion whose alias is not there any more."""
    version = "none" if head is None else head.version
    return (
        f"The alias {CHAMPION!r} of model {model_name!r} was taken away at {registry.server.uri}, while by its ledger "
        f"the champion is version {version}. Hint: set it again in MLflow, or choose one with "
        "RollbackModelOperator(to_version=...)."
    )
