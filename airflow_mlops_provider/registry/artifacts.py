"""Reading files of a run: what is gone for good told apart from a store that does not answer, and changed evidence.

What a model carries as evidence decides about it later, and its requirements are installed to try it. Who may write
where MLflow keeps files could change them, but not the parameters of a run: so training writes down the hash of each.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tempfile
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
_NOT_FOUND = 404


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


def read(registry: Registry, *, run_id: str, path: str) -> bytes | None:
    """Return the content of an artifact; None when a run has none there.

    Parameters
    ----------
    registry : Registry
        An open session.
    run_id : str
        The run that holds it.
    path : str
        Where in the run.

    Raises
    ------
    InputError
        The run does not exist, or the file is evidence and not the one that was written in training: changed, added or
        deleted since.
    OutageError
        The store of the files does not answer, or this machine's disk does not.
    """
    import mlflow.artifacts

    try:
        listed = registry.client.list_artifacts(run_id, posixpath.dirname(path) or None)
        # Asked first, because MLflow reports what is not there like an outage.
        if path not in {one.path for one in listed}:
            content = None
        else:
            with tempfile.TemporaryDirectory(prefix="mlops-artifact-") as into:
                local = mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=path, dst_path=into, tracking_uri=registry.server.uri
                )
                content = Path(local).read_bytes()
    except OSError as error:
        # Never "from error": a task's log prints causes, and theirs hold signed addresses.
        raise not_fetched(error, registry, what=f"Artifact {path!r} of MLflow run {run_id}") from None
    if path.startswith(EVIDENCE):
        _check_unchanged(registry, run_id, path, content)
    return content


def required(registry: Registry, *, run_id: str, path: str) -> bytes:
    """Return the content of an artifact that must be there; see :func:`read`."""
    content = read(registry, run_id=run_id, path=path)
    if content is None:
        raise InputError(f"MLflow run {run_id} has no artifact {path!r}; it was deleted or never written.")
    return content


def not_fetched(error: OSError, registry: Registry, *, what: str) -> InputError | OutageError | OSError:
    """Say what it means that a download failed: only what is gone for good is bad input.

    Errors of ``requests`` and time-outs of S3's client are kinds of ``OSError``, like those of a network file system.
    What refuses us tells of the connection and not of the file, so that a rollback must not pass over a version for it:
    it is returned as it is, and the session says what it means.
    """
    from requests import RequestException

    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return InputError(f"{what} cannot be fetched: {scrubbed(str(error), registry.server)}.")
    of_s3 = artifact_store_error(error)
    if of_s3 is not None:
        return of_s3
    if isinstance(error, RequestException):
        if error.response is not None and error.response.status_code == _NOT_FOUND:
            return _not_there(what, is_page="html" in error.response.headers.get("Content-Type", "").lower())
        told = translate(error, registry.server)
        return told if isinstance(told, OutageError) else error
    # Its own words may hold a path, and without a number nothing else.
    said = f"{type(error).__name__}: {error.strerror}" if error.strerror else type(error).__name__
    return OutageError(f"{what} cannot be fetched now: {said}. A retry may succeed.")


def _not_there(what: str, *, is_page: bool) -> InputError | OutageError:
    if is_page:
        # What a proxy shows while the server restarts.
        return OutageError(f"{what} cannot be fetched now: HTTP 404 with a page. A retry may succeed.")
    return InputError(f"{what} cannot be fetched: the server has no such file (HTTP 404).")


def _check_unchanged(registry: Registry, run_id: str, path: str, content: bytes | None) -> None:
    recorded = recorded_files(registry, run_id)
    if recorded is None:
        return
    found = None if content is None else hashlib.sha256(content).hexdigest()
    if recorded.get(path) == found:
        return
    if found is None:
        was = "was deleted after training"
    else:
        was = "is not the one that was written in training" if path in recorded else "was added after training"
    raise InputError(
        f"Artifact {path!r} of MLflow run {run_id} {was}. "
        "Hint: find out who may write where MLflow keeps files; train the model again."
    )
