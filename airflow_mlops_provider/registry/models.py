"""Model files: written as skops, read by our own code against our own list of types.

MLflow would load whatever the artifact's own MLmodel file asks for, a pickle included. Nothing here believes what an
artifact says of itself: the file name is fixed, the format is fixed, and the types it may hold are listed below.
"""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

MODEL_FILE = "model.skops"
# What scikit-learn's own estimators hold beyond what skops trusts by default. Each is plain data, a compiled container
# of it, or a pure function of arrays; none runs code of the file's choice when it is built.
TRUSTED_TYPES = (
    "builtins.object",
    "numpy.dtype",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.PairwiseKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._dist_metrics.CanberraDistance64",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)


def write_model(
    model: Any,
    directory: Path,
    *,
    kinds: Mapping[str, str],
    task: str,
    requirements: Sequence[str],
    trusted_types: Sequence[str] = (),
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
    try:
        with _quiet_skops():
            mlflow.sklearn.save_model(
                model,
                str(directory),
                serialization_format="skops",
                skops_trusted_types=[*TRUSTED_TYPES, *trusted_types],
                signature=ModelSignature(inputs=Schema(columns), outputs=Schema([output])),
                pip_requirements=list(requirements),
            )
    except MlflowException as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        raise _refusal(model, trusted_types, error) from error
    return _size(directory)


def _size(directory: Path) -> int:
    """Return the size of the model's files, without the one that MLflow adds when they are fetched."""
    return sum(
        path.stat().st_size for path in directory.rglob("*") if path.is_file() and path.name != "registered_model_meta"
    )


def _refusal(model: Any, trusted_types: Sequence[str], error: Exception) -> InputError:
    """Say why a model was not saved. Here and not before, because writing a large model takes its time."""
    try:
        with _quiet_skops() as skops_io:
            needed = skops_io.get_untrusted_types(data=skops_io.dumps(model))
        _require_trusted(needed, trusted_types, where="The model")
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


def _require_trusted(needed: Sequence[str], trusted_types: Sequence[str], *, where: str) -> None:
    unknown = sorted(set(needed) - set(TRUSTED_TYPES) - set(trusted_types))
    if unknown:
        raise InputError(
            f"{where} holds types that are not trusted: {', '.join(unknown)}. "
            "Hint: use scikit-learn's own parts, or list types you vouch for in trusted_types."
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
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def load_model(
    registry: Registry, *, model_name: str, version: str, trusted_types: Sequence[str] = ()
) -> tuple[Any, int]:
    """Load a model version.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name, version : str
        Which.
    trusted_types : sequence of str
        Types beyond :data:`TRUSTED_TYPES` that the user vouches for.

    Returns
    -------
    fitted estimator, size of its files in bytes

    Raises
    ------
    InputError
        The files are missing, damaged, of another format, or hold types that nobody vouches for.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    where = f"Version {version} of model {model_name!r}"
    with tempfile.TemporaryDirectory(prefix="mlops-model-") as folder:
        try:
            downloaded = mlflow.artifacts.download_artifacts(
                artifact_uri=f"models:/{model_name}/{version}", dst_path=folder, tracking_uri=registry.server.uri
            )
        except MlflowException:
            raise
        except OSError as error:
            raise InputError(f"{where}: its files cannot be fetched: {error}.") from error
        root = Path(downloaded)
        return _read(root / MODEL_FILE, where=where, trusted_types=trusted_types), _size(root)


def _read(path: Path, *, where: str, trusted_types: Sequence[str]) -> Any:
    if not path.exists() or not stat.S_ISREG(os.lstat(path).st_mode):
        raise InputError(
            f"{where} has no {MODEL_FILE}: it was not saved by this package, or its files were changed. "
            "Hint: only skops files are loaded; train the model with TrainModelOperator."
        )
    try:
        with _quiet_skops() as skops_io:
            _require_trusted(skops_io.get_untrusted_types(file=path), trusted_types, where=where)
            return skops_io.load(path, trusted=[*TRUSTED_TYPES, *trusted_types])
    except InputError:
        raise
    except Exception as error:
        # A damaged or foreign file fails in the zip, the JSON, NumPy or scikit-learn; for the caller it is one thing.
        raise InputError(f"{where}: its file {MODEL_FILE} cannot be read: {type(error).__name__}: {error}.") from error
