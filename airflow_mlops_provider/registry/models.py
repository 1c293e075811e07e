"""Model files: written as skops, read by our own code against our own list of types.

MLflow would load whatever the artifact's own MLmodel file asks for, a pickle included. Nothing here believes what an
artifact says of itself: the file name is fixed, the format is fixed, and the types it may hold are listed. A
pickle is written and read only where the user asks for it, because reading one runs code of the file's choice.
"""

from __future__ import annotations

import os
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.artifacts import files_param
from airflow_mlops_provider.registry.manifest import Manifest, manifest_of
from airflow_mlops_provider.registry.model_files import fetched, manifest_param, recorded_manifest, verified_manifest
from airflow_mlops_provider.registry.trusted_types import TRUSTED_TYPES
from airflow_mlops_provider.registry.versions import Version

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

MODEL_FILE = "model.skops"
PICKLE_FILE = "model.pkl"


def write_model(
    model: Any,
    directory: Path,
    *,
    kinds: Mapping[str, str],
    task: str,
    requirements: Sequence[str],
    trusted_types: Sequence[str] = (),
    allow_pickle: bool = False,
) -> int:
    """Write a fitted model as an MLflow model directory.

    Parameters
    ----------
    model : fitted estimator
        With everything that prepares its input inside.
    directory : Path
        Made by this call.
    kinds : mapping of str to {"numeric", "categorical"}
        Feature columns in order; they become the MLflow signature.
    task : {"binary", "multiclass", "regression"}
        Decides the type of the output in the signature.
    requirements : sequence of str
        Pinned requirements; given, so that MLflow need not start a process to infer them.
    trusted_types : sequence of str
        Types beyond :data:`TRUSTED_TYPES` that the user vouches for.
    allow_pickle : bool, default False
        Write a model that holds other types as a pickle, instead of refusing it.

    Returns
    -------
    int
        Size on disk in bytes.

    Raises
    ------
    InputError
        The model holds types that nobody vouches for, or functions that cannot be saved.
    """
    import mlflow.sklearn
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns: list[ColSpec | TensorSpec] = [
        ColSpec("double" if kind == "numeric" else "string", name, required=False) for name, kind in kinds.items()
    ]
    output = ColSpec("double" if task == "regression" else "string", "prediction")

    def save(**how: Any) -> None:
        with _quiet_skops():
            mlflow.sklearn.save_model(
                model,
                str(directory),
                signature=ModelSignature(inputs=Schema(columns), outputs=Schema([output])),
                pip_requirements=list(requirements),
                **how,
            )

    try:
        save(serialization_format="skops", skops_trusted_types=[*TRUSTED_TYPES, *trusted_types])
    except MlflowException as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        if not allow_pickle:
            raise _refusal(model, trusted_types, error) from error
        shutil.rmtree(directory, ignore_errors=True)
        save(serialization_format="cloudpickle")
    return manifest_of(directory).size_bytes


def _refusal(model: Any, trusted_types: Sequence[str], error: Exception) -> InputError:
    """Say why a model was not saved. Here and not before, because writing a large model takes its time."""
    try:
        with _quiet_skops() as skops_io:
            needed = skops_io.get_untrusted_types(data=skops_io.dumps(model))
        unknown = _untrusted(needed, trusted_types)
        if unknown:
            raise _not_trusted("The model", unknown)
    except InputError as refused:
        return refused
    except Exception as reason:
        error = reason
    return InputError(
        f"The model cannot be saved as skops: {type(error).__name__}: {error}. "
        "Hint: functions in it, such as that of a FunctionTransformer, must have a name in a module."
    )


@contextmanager
def _quiet_skops() -> Iterator[Any]:
    """Import and use skops without warnings.

    To name a NumPy ufunc it asks every imported module for an attribute of that name, and each of Airflow's deprecated
    modules that it asks would warn: a thousand lines in the task's log.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skops.io

        yield skops.io


def _untrusted(needed: Sequence[str], trusted_types: Sequence[str]) -> list[str]:
    return sorted(set(needed) - set(TRUSTED_TYPES) - set(trusted_types))


def _not_trusted(where: str, unknown: Sequence[str]) -> InputError:
    return InputError(
        f"{where} holds types that are not trusted: {', '.join(unknown)}. "
        "Hint: use scikit-learn's own parts, list types you vouch for in trusted_types, or set allow_pickle=True."
    )


def log_model(run: LoggedRun, directory: Path, *, params: Mapping[str, Any]) -> str:
    """Store a model directory as a logged model of a run, READY only when every file is there.

    Returns
    -------
    str
        MLflow's model id.
    """
    client = run.registry.client
    logged = client.create_logged_model(
        run.experiment_id,
        name="model",
        source_run_id=run.run_id,
        params={key: str(value)[:500] for key, value in params.items()},
        model_type="sklearn",
    )
    try:
        run.log_model_files(str(logged.model_id), directory)
    except BaseException:
        # The first error is the one to report.
        with suppress(Exception):
            client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    # Last, so that a run that has it has everything, and a later try may go on from there.
    manifest = manifest_param(model_id=str(logged.model_id), manifest=manifest_of(directory))
    run.log_params({**files_param(run.sha256), **manifest})
    return str(logged.model_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A version in memory.

    Parameters
    ----------
    model : fitted estimator
    manifest : Manifest
        Of the files it was read from.
    pickled : bool
        Whether it came from a pickle.
    """

    model: Any
    manifest: Manifest
    pickled: bool


def load_version(
    registry: Registry,
    version: Version,
    *,
    trusted_types: Sequence[str] = (),
    allow_pickle: bool = False,
    expected_sha256: str | None = None,
    trial: Callable[[Path], None] | None = None,
) -> LoadedModel:
    """Fetch, check, try and load a version.

    Parameters
    ----------
    registry : Registry
        An open session.
    version : Version
        Which; its files must be those that were trained, if that was written down.
    trusted_types : sequence of str
        Types beyond :data:`TRUSTED_TYPES` that the user vouches for.
    allow_pickle : bool, default False
        Whether a pickled model may be loaded.
    expected_sha256 : str, optional
        Of the manifest that a blessing or the ledger names.
    trial : callable of Path, optional
        Called with the checked files before they are loaded here; see
        :func:`airflow_mlops_provider.registry.trial.try_model`.

    Raises
    ------
    InputError
        The files are missing, damaged, changed, of another format, or hold types that nobody vouches for.
    """
    with fetched(registry, version) as directory:
        asked_for = expected_sha256 is not None or trial is not None or allow_pickle
        if not asked_for and recorded_manifest(registry, run_id=version.run_id) is None:
            manifest = manifest_of(directory)
        else:
            manifest = verified_manifest(registry, version, directory, expected_sha256=expected_sha256)
        if trial is not None:
            trial(directory)
        model = read_model(directory, where=version.title, trusted_types=trusted_types, allow_pickle=allow_pickle)
    return LoadedModel(model=model, manifest=manifest, pickled=MODEL_FILE not in manifest.files)


def read_model(directory: Path, *, where: str, trusted_types: Sequence[str] = (), allow_pickle: bool = False) -> Any:
    """Read the model in a local directory; see :func:`load_version`.

    Parameters
    ----------
    directory : Path
        The model's files.
    where : str
        Name of the model for messages, at the beginning of a sentence.
    """
    path = directory / MODEL_FILE
    if not _is_plain_file(path):
        if _is_plain_file(directory / PICKLE_FILE) and not path.exists():
            return _read_pickle(directory / PICKLE_FILE, where=where, allow_pickle=allow_pickle)
        raise InputError(
            f"{where} has no {MODEL_FILE}: it was not saved by this package, or its files were changed. "
            "Hint: only skops files are loaded; train the model with TrainModelOperator."
        )
    try:
        with _quiet_skops() as skops_io:
            unknown = _untrusted(skops_io.get_untrusted_types(file=path), trusted_types)
            if unknown:
                raise _not_trusted(where, unknown)
            return skops_io.load(path, trusted=[*TRUSTED_TYPES, *trusted_types])
    except (InputError, MemoryError):
        raise
    except Exception as error:
        # A damaged or foreign file fails in the zip, the JSON, NumPy or scikit-learn; for the caller it is one thing.
        raise InputError(f"{where}: its file {MODEL_FILE} cannot be read: {type(error).__name__}: {error}.") from error


def _read_pickle(path: Path, *, where: str, allow_pickle: bool) -> Any:
    if not allow_pickle:
        raise InputError(
            f"{where} is a pickle, and reading one runs whatever code it holds. "
            "Hint: train it with scikit-learn's own parts; or set allow_pickle=True, if you trust who can write there."
        )
    import pickle

    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - asked for, and its hash is that of the file that was trained
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"{where}: its file {PICKLE_FILE} cannot be read: {type(error).__name__}: {error}.") from error


def _is_plain_file(path: Path) -> bool:
    return path.exists() and stat.S_ISREG(os.lstat(path).st_mode)
