"""Finding what an earlier try of the same task left, so that a model is registered once however often the task dies.

MLflow makes a new version at every call, also when only the answer of the first was lost. So each version and each run
carries the key of the task's effect; of several versions with one key the lowest counts, which all tries agree on, and
the others are marked. Nothing is deleted here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.ledger import read_history
from airflow_mlops_provider.registry.ledger_store import patiently
from airflow_mlops_provider.registry.model_files import PARAM, recorded_manifest
from airflow_mlops_provider.registry.session import tags_filter
from airflow_mlops_provider.registry.versions import CHALLENGER, Version, from_mlflow

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry

log = logging.getLogger(__name__)

OP_TAG = "mlops.op_key"
INPUT_TAG = "mlops.input_sha256"
DUPLICATE_TAG = "mlops.duplicate_of"
UNFINISHED_TAG = "mlops.unfinished"
MAX_RUNS = 100
MAX_RACES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a task is about to do to a model.

    Parameters
    ----------
    model_name : str
        Registered model.
    op : str
        Key of the effect; see :func:`airflow_mlops_provider.core.op_key.op_key`.
    input_sha256 : str
        Of everything that decides the outcome: data, settings, code version.
    """

    model_name: str
    op: str
    input_sha256: str

    def tags(self) -> dict[str, str]:
        """Return the tags by which a later try finds what this one made."""
        return {OP_TAG: self.op, INPUT_TAG: self.input_sha256}


def earlier_version(registry: Registry, effect: Effect) -> Version | None:
    """Return the version that an earlier try registered.

    Raises
    ------
    InputError
        It was made from other input.
    """
    found = _versions(registry, effect)
    if not found:
        return None
    _mark_duplicates(registry, found)
    _require_same_input(found[0].label, found[0].tags, effect)
    _close_run(registry, found[0].run_id)
    return found[0]


def earlier_run(registry: Registry, effect: Effect, *, experiment_id: str) -> tuple[str, str] | None:
    """Return run and model id of an earlier try whose model is whole; mark the runs of those that did not get there.

    Raises
    ------
    InputError
        It was made from other input.
    """
    runs = registry.client.search_runs(
        [experiment_id], tags_filter({OP_TAG: effect.op}), max_results=MAX_RUNS, order_by=["attributes.start_time ASC"]
    )
    whole = None
    for run in runs:
        if PARAM not in run.data.params:
            if run.info.status == "RUNNING":
                registry.client.set_tag(run.info.run_id, UNFINISHED_TAG, "its task ended before the model was whole")
                registry.client.set_terminated(run.info.run_id, status="KILLED")
        elif whole is None:
            _require_same_input(f"MLflow run {run.info.run_id}", run.data.tags, effect)
            found = recorded_manifest(registry, run_id=run.info.run_id)
            whole = None if found is None else (str(run.info.run_id), found[0])
            _close_run(registry, run.info.run_id)
    return whole


def _close_run(registry: Registry, run_id: str | None) -> None:
    """End a run that has all it should have, and whose task died before it could say so."""
    if run_id and registry.client.get_run(run_id).info.status == "RUNNING":
        registry.client.set_terminated(run_id, status="FINISHED")


def register(
    registry: Registry, effect: Effect, *, model_id: str, run_id: str, tags: Mapping[str, Any], description: str
) -> Version:
    """Register a logged model once, and make it the challenger.

    Parameters
    ----------
    registry : Registry
        An open session.
    effect : Effect
        Of the task.
    model_id, run_id : str
        MLflow's ids of the model's files and of the run behind them.
    tags : mapping of str to str
        Set in the call that makes the version.
    description : str

    Returns
    -------
    Version
        The one that counts: of this try, or of another try of the same task.
    """
    from mlflow.exceptions import MlflowException

    client = registry.client
    try:
        client.create_registered_model(effect.model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = _versions(registry, effect)
    if not found:
        all_tags = {key: str(value) for key, value in {**tags, **effect.tags()}.items()}
        try:
            client.create_model_version(
                effect.model_name,
                source=f"models:/{model_id}",
                run_id=run_id,
                model_id=model_id,
                tags=all_tags,
                description=description,
                await_creation_for=0,
            )
        except MlflowException:
            # Whether it was made before the answer was lost is found by its key.
            if not _versions(registry, effect):
                raise
        found = _versions(registry, effect)
    _mark_duplicates(registry, found)
    version = found[0]
    _require_same_input(version.label, version.tags, effect)
    point_challenger(registry, version)
    return version


def point_challenger(registry: Registry, version: Version) -> None:
    """Let the alias ``challenger`` name a version, unless a later one has come or this one was decided on already."""
    for _ in range(MAX_RACES):
        model = registry.client.get_registered_model(version.model_name)
        present = (model.aliases or {}).get(CHALLENGER)
        # Two trainings that register at once may set the alias in the wrong order, so who sets it looks again.
        later = [from_mlflow(one) for one in model.latest_versions if int(one.version) > int(version.version)]
        wanted = next((one for one in later if OP_TAG in one.tags and DUPLICATE_TAG not in one.tags), version)
        if present is not None and int(present) >= int(wanted.version):
            return
        entries = read_history(registry, version.model_name).entries
        if any(one.subject is not None and one.subject.is_same_as(wanted.reference()) for one in entries):
            return
        set_alias = partial(registry.client.set_registered_model_alias, version.model_name, CHALLENGER, wanted.version)
        patiently(registry, set_alias)


def _versions(registry: Registry, effect: Effect) -> list[Version]:
    # Not by name as well: a name may hold both kinds of quotes, and the key covers it.
    found = registry.client.search_model_versions(tags_filter({OP_TAG: effect.op}))
    versions = [from_mlflow(one) for one in found if one.name == effect.model_name]
    return sorted(versions, key=lambda one: int(one.version))


def _mark_duplicates(registry: Registry, found: list[Version]) -> None:
    for one in found[1:]:
        if DUPLICATE_TAG not in one.tags:
            log.warning("%s is a duplicate of version %s, made by another try.", one.label, found[0].version)
            mark = partial(registry.client.set_model_version_tag, one.model_name, one.version, DUPLICATE_TAG)
            patiently(registry, partial(mark, found[0].version))


def _require_same_input(what: str, tags: Mapping[str, str], effect: Effect) -> None:
    made_from = tags.get(INPUT_TAG)
    if made_from != effect.input_sha256:
        raise InputError(
            f"An earlier try of this task made {what} from other input (data, settings or code): SHA-256 "
            f"{(made_from or 'unknown')[:12]}… there, {effect.input_sha256[:12]}… now. "
            "Hint: start a new DAG run, or set force_new=True to let this one make another version."
        )
