"""Fetching files of a run, with what is gone for good told apart from a store that does not answer."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry


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
        The run or the artifact does not exist; MLflow itself reports that like an outage.
    """
    import mlflow.artifacts

    folder, _ = posixpath.split(path)
    if path not in {one.path for one in registry.client.list_artifacts(run_id, folder or None)}:
        raise InputError(f"MLflow run {run_id} has no artifact {path!r}; it was deleted or never written.")
    return Path(
        mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=path, dst_path=into, tracking_uri=registry.server.uri
        )
    )
