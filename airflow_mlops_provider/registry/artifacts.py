"""Fetching files of a run: what is gone for good told apart from a store that does not answer, and changed evidence.

What a model carries as evidence decides about it later, and its requirements are installed to try it. Who may write
where MLflow keeps files could change them, but not the parameters of a run: so training writes down the hash of each.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.artifact_store import artifact_store_error
from airflow_mlops_provider.registry.session import scrubbed, translate

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry


# A parameter of the training run, because MLflow lets nobody change one.
FILES_PARAM = "mlops.evidence_files"
EVIDENCE = "evidence/"


def files_param(sha256: Mapping[str, str]) -> dict[str, str]:
    """Return the parameter by which a training run tells what its evidence is, given the hashes of all its files."""
    return {FILES_PARAM: json.dumps({path: one for path, one in sorted(sha256.items()) if path.startswith(EVIDENCE)})}


def recorded_files(registry: Registry, run_id: str) -> dict[str, str] | None:
    """Return the SHA-256 of each file of a run's evidence by its path; None when nobody wrote them down."""
    text = registry.client.get_run(run_id).data.params.get(FILES_PARAM)
    if text is None:
        return None
    try:
        return {str(path): str(one) for path, one in json.loads(text).items()}
    except (AttributeError, json.JSONDecodeError) as error:
        raise InputError(f"Parameter {FILES_PARAM!r} of MLflow run {run_id} cannot be read: {error!r}.") from error


def fetch(registry: Registry, *, run_id: str, path: str, into: str) -> Path:
    """Download an artifact, or a folder of them.

    Parameters
    ----------
    registry : Registry
        An open session.
    run_id : str
        The run that holds it.
    path : str
        Where in the run.
    into : str
        Local directory.

    Returns
    -------
    Path
        The local file or directory.

    Raises
    ------
    InputError
        The run or the artifact does not exist, which MLflow itself reports like an outage; or a file of the evidence is
        not the one that was written in training.
    OutageError
        The store of the files does not answer.
    """
    import mlflow.artifacts

    folder, _ = posixpath.split(path)
    try:
        if path not in {one.path for one in registry.client.list_artifacts(run_id, folder or None)}:
            raise InputError(f"MLflow run {run_id} has no artifact {path!r}; it was deleted or never written.")
        local = Path(
            mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=path, dst_path=into, tracking_uri=registry.server.uri
            )
        )
    except OSError as error:
        # Never "from error": a task's log prints causes, and theirs hold signed addresses.
        raise not_fetched(error, registry, what=f"Artifact {path!r} of MLflow run {run_id}") from None
    if path.startswith(EVIDENCE) or f"{path}/" == EVIDENCE:
        _check_unchanged(registry, run_id, path, local)
    return local


def not_fetched(error: OSError, registry: Registry, *, what: str) -> InputError | OutageError:
    """Say what it means that a download failed: only what is gone for good is bad input.

    Errors of ``requests`` and time-outs of S3's client are kinds of ``OSError``, like those of a network file system.
    """
    from requests import RequestException

    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return InputError(f"{what} cannot be fetched: {scrubbed(str(error), registry.server)}.")
    of_s3 = artifact_store_error(error)
    if of_s3 is not None:
        return of_s3
    if isinstance(error, RequestException):
        return translate(error, registry.server)
    return OutageError(f"{what} cannot be fetched now: {type(error).__name__}: {error.strerror}. A retry may succeed.")


def _check_unchanged(registry: Registry, run_id: str, path: str, local: Path) -> None:
    recorded = recorded_files(registry, run_id)
    if recorded is None:
        return
    files = [one for one in local.rglob("*") if one.is_file()] if local.is_dir() else [local]
    for one in files:
        name = path if one == local else f"{path}/{one.relative_to(local).as_posix()}"
        if recorded.get(name) != hashlib.sha256(one.read_bytes()).hexdigest():
            was = "was added after training" if name not in recorded else "is not the one that was written in training"
            raise InputError(
                f"Artifact {name!r} of MLflow run {run_id} {was}. "
                "Hint: find out who may write where MLflow keeps files; train the model again."
            )
