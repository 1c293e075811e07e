"""The files of a model version on this machine: fetched into a private directory, checked against their manifest.

Nothing here opens a model. What MLflow or the artifact says of its own content is not believed; what was written down
when the model was trained, and again when it was judged and promoted, is.
"""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.artifacts import not_fetched
from airflow_mlops_provider.registry.manifest import Manifest, manifest_of

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

# A parameter of the training run, because MLflow lets nobody change one.
PARAM = "mlops.model_files"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def manifest_param(*, model_id: str, manifest: Manifest) -> dict[str, str]:
    """Return the parameter by which a training run tells what the files of its model are."""
    return {PARAM: json.dumps({"model_id": model_id, "manifest": manifest.to_text()})}


def recorded_manifest(registry: Registry, *, run_id: str | None) -> tuple[str, Manifest] | None:
    """Return MLflow's id of the model that a run wrote, and its files; None when the run did not get that far."""
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        text = registry.client.get_run(run_id).data.params.get(PARAM)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if text is None:
        return None
    try:
        values = json.loads(text)
        return str(values["model_id"]), Manifest.from_text(values["manifest"])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"Parameter {PARAM!r} of MLflow run {run_id} cannot be read: {error!r}.") from error


@contextmanager
def fetched(registry: Registry, version: Version) -> Iterator[Path]:
    """Fetch the files of a version into a directory that only this user can open, and remove them afterwards.

    Raises
    ------
    InputError
        They are gone.
    OutageError
        The disk is full, or the artifact store does not answer.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="mlops-model-") as folder:
        try:
            downloaded = mlflow.artifacts.download_artifacts(
                artifact_uri=f"models:/{version.model_name}/{version.version}",
                dst_path=folder,
                tracking_uri=registry.server.uri,
            )
        except (MlflowException, OSError) as error:
            # MLflow gathers what went wrong with each file into one text.
            if any(f"[Errno {number}]" in str(error) for number in _NO_SPACE):
                raise OutageError(
                    f"No space to fetch {version.label} into {tempfile.gettempdir()}; nothing was left there. "
                    "Hint: free space, or set TMPDIR to a larger disk."
                ) from None
            if isinstance(error, MlflowException):
                raise
            raise not_fetched(error, registry, what=f"The files of {version.label}") from None
        yield Path(downloaded)


def verified_manifest(
    registry: Registry, version: Version, directory: Path, *, expected_sha256: str | None = None
) -> Manifest:
    """Check local files of a version against what was written down in training, and later.

    Parameters
    ----------
    registry : Registry
        An open session.
    version : Version
        Which.
    directory : Path
        Where its files are.
    expected_sha256 : str, optional
        Of the manifest that a blessing or the ledger names.

    Returns
    -------
    Manifest
        Of the files, found whole.

    Raises
    ------
    InputError
        A file is missing, added, cut off or changed, or nothing was ever written down.
    """
    recorded = recorded_manifest(registry, run_id=version.run_id)
    if recorded is None:
        raise InputError(
            f"Nobody wrote down what the files of {version.label} are, so they cannot be checked. "
            "Hint: train it with TrainModelOperator or @task.train_model."
        )
    model_id, manifest = recorded
    if version.model_id is not None and version.model_id != model_id:
        raise InputError(
            f"{version.label} leads to model {version.model_id}, but its run {version.run_id} wrote {model_id}. "
            "Hint: register the model with TrainModelOperator."
        )
    found = manifest_of(directory)
    differences = manifest.differences(found)
    if differences:
        raise InputError(
            f"The files of {version.label} are not those that were trained: {'; '.join(differences[:5])}. "
            "Hint: find out who changed them; train the model again."
        )
    if expected_sha256 is not None and expected_sha256 != found.sha256:
        raise InputError(
            f"The files of {version.label} and their list were changed together after the version was judged. "
            "Hint: find out who changed them; train the model again."
        )
    return found
