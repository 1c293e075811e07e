from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from inspect import Parameter, signature
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes IterativeImputer importable
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as gp
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression, Ridge, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.models import (
    MODEL_FILE,
    LoadedModel,
    load_version,
    log_model,
    read_model,
    write_model,
)
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version, by_number

X, CLASSES = make_classification(60, 4, n_informative=4, n_redundant=0, n_classes=3, random_state=0)
X = np.abs(X)
VALUES = np.abs(make_regression(60, 4, random_state=0)[1]) + 1
KINDS = {"a": "numeric", "b": "categorical"}
# Small versions of what is slow with its defaults.
QUICK = {
    "AdaBoostClassifier": {"n_estimators": 3},
    "AdaBoostRegressor": {"n_estimators": 3},
    "BaggingClassifier": {"n_estimators": 3},
    "BaggingRegressor": {"n_estimators": 3},
    "CalibratedClassifierCV": {"estimator": LogisticRegression()},
    "ExtraTreesClassifier": {"n_estimators": 3},
    "ExtraTreesRegressor": {"n_estimators": 3},
    "GradientBoostingClassifier": {"n_estimators": 3},
    "GradientBoostingRegressor": {"n_estimators": 3},
    "HistGradientBoostingClassifier": {"max_iter": 3},
    "HistGradientBoostingRegressor": {"max_iter": 3},
    "LogisticRegressionCV": {"Cs": 2},
    "MLPClassifier": {"max_iter": 5},
    "MLPRegressor": {"max_iter": 5},
    "RandomForestClassifier": {"n_estimators": 3},
    "RandomForestRegressor": {"n_estimators": 3},
}
# These predict several targets at once, or take a single feature.
NOT_OURS = {
    "CCA",
    "ClassifierChain",
    "IsotonicRegression",
    "MultiOutputClassifier",
    "MultiOutputRegressor",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "PLSCanonical",
    "RegressorChain",
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    with open_registry(server) as registry:
        yield registry


def registered(registry: Registry, model: object, folder: Path, name: str, **arguments) -> tuple[Version, Path]:
    """Register a model, and say where its files are."""
    size = write_model(model, folder / "model", kinds=KINDS, task="binary", requirements=["scikit-learn"], **arguments)
    assert size > 0
    with logged_run(registry, experiment_name="models", run_name="r", tags={}) as run:
        model_id = log_model(run, folder / "model", params={"C": 1})
        version = register(
            registry,
            Effect(model_name=name, op=run.run_id, input_sha256="i"),
            model_id=model_id,
            run_id=run.run_id,
            tags={},
            description="",
        )
    location = registry.client.get_logged_model(model_id).artifact_location
    return version, Path(location.removeprefix("file://"))


@pytest.fixture
def stored(registry: Registry, tmp_path: Path, model_name: str) -> tuple[Version, Path]:
    return registered(registry, LogisticRegression().fit(X, CLASSES), tmp_path, model_name)


def load(registry: Registry, version: Version, **arguments) -> LoadedModel:
    return load_version(registry, by_number(registry, version.model_name, version.version), **arguments)


def test_a_version_loads_as_it_was_saved_with_its_size(registry: Registry, stored: tuple[Version, Path]) -> None:
    version, files = stored
    loaded = load(registry, version)
    np.testing.assert_array_equal(loaded.model.predict_proba(X), LogisticRegression().fit(X, CLASSES).predict_proba(X))
    assert loaded.manifest.size_bytes == sum(path.stat().st_size for path in files.rglob("*") if path.is_file())


def test_mlflow_knows_the_signature_the_requirements_and_that_the_files_are_whole(
    registry: Registry, stored: tuple[Version, Path]
) -> None:
    from mlflow.models import Model

    version, files = stored
    made = Model.load(str(files))
    assert [(one.name, one.type.name, one.required) for one in made.signature.inputs] == [
        ("a", "double", False),
        ("b", "string", False),
    ]
    assert "scikit-learn" in (files / "requirements.txt").read_text().split()
    assert registry.client.get_logged_model(version.model_id).status == "READY"


def models() -> Iterator[tuple[str, object, np.ndarray]]:
    for kind, target in (("classifier", CLASSES), ("regressor", VALUES)):
        for name, estimator in all_estimators(type_filter=kind):
            if name in NOT_OURS:
                continue
            arguments = dict(QUICK.get(name, {}))
            inner = LogisticRegression() if kind == "classifier" else Ridge()
            if name in {"VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor"}:
                arguments = {
                    "estimators": [
                        ("one", inner),
                        ("two", DecisionTreeClassifier() if kind == "classifier" else Ridge(2)),
                    ]
                }
            elif signature(estimator).parameters.get("estimator", _OPTIONAL).default is Parameter.empty or name in {
                "SelfTrainingClassifier"
            }:
                arguments = {"estimator": inner}
            if name in {"FixedThresholdClassifier", "TunedThresholdClassifierCV"}:
                yield name, estimator(**arguments), (target > 0).astype(int)
            else:
                yield name, estimator(**arguments), target


_OPTIONAL = Parameter("estimator", Parameter.KEYWORD_ONLY, default=None)
LINEAR = LogisticRegression()
VARIANTS = [
    *(OneVsRestClassifier(LINEAR), OneVsOneClassifier(LINEAR), OutputCodeClassifier(LINEAR, code_size=3)),
    CalibratedClassifierCV(LINEAR, method="isotonic"),
    SelfTrainingClassifier(LINEAR),
    BaggingClassifier(LINEAR, n_estimators=2),
    *(KNeighborsClassifier(algorithm="ball_tree", metric=metric) for metric in ("manhattan", "canberra", "chebyshev")),
    KNeighborsClassifier(algorithm="kd_tree", metric="minkowski", p=3),
    MLPClassifier(solver="sgd", max_iter=3),
    MLPClassifier(solver="lbfgs", max_iter=3),
    GridSearchCV(LINEAR, {"C": [1, 2]}, cv=2),
    make_pipeline(SelectKBest(k=2), LINEAR),
    make_pipeline(IterativeImputer(max_iter=2), LINEAR),
    make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LINEAR),
    make_pipeline(FunctionTransformer(np.arctan), LINEAR),
    *(HistGradientBoostingRegressor(loss=loss, max_iter=2) for loss in ("absolute_error", "gamma", "poisson")),
    TweedieRegressor(power=1.5, link="log"),
    TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
    *(
        GaussianProcessRegressor(kernel)
        for kernel in (
            gp.Matern() + gp.WhiteKernel(),
            gp.RationalQuadratic() * gp.DotProduct(),
            gp.RBF() ** 2,
            gp.PairwiseKernel(),
        )
    ),
]


def test_every_classifier_and_regressor_of_scikit_learn_survives_saving_and_loading(
    registry: Registry, tmp_path: Path
) -> None:
    """One test, so that one session and one set of files serve all."""
    failed = {}
    cases = [*models(), *((str(model), model, None) for model in VARIANTS)]
    for number, (name, model, target) in enumerate(cases):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = (
                (CLASSES if hasattr(model, "predict_proba") or "lassif" in name else VALUES)
                if target is None
                else target
            )
            model.fit(X, y)
            folder = tmp_path / str(number)
            folder.mkdir()
            try:
                _write(model, folder / MODEL_FILE)
                back = read_model(folder, where=name)
                said, meant = back.predict(X), model.predict(X)
                if said.dtype.kind == "f":
                    # BLAS adds up in another order where arrays lie differently in memory.
                    np.testing.assert_allclose(said, meant, rtol=1e-12, atol=1e-12)
                else:
                    np.testing.assert_array_equal(said, meant)
            except (InputError, AssertionError) as error:
                failed[name] = str(error)
    assert not failed
    assert len(cases) > 90


def _write(model: object, path: Path) -> None:
    import skops.io

    skops.io.dump(model, path)


class Unknown(ClassifierMixin, BaseEstimator):
    """A user's own estimator."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


def test_a_users_own_type_is_refused_by_name_unless_vouched_for(
    registry: Registry, tmp_path: Path, model_name: str
) -> None:
    own = f"{Unknown.__module__}.Unknown"
    model = make_pipeline(FunctionTransformer(), Unknown()).fit(X, CLASSES)
    with pytest.raises(InputError, match=f"The model holds types that are not trusted: {own}. Hint:"):
        registered(registry, model, tmp_path / "refused", model_name)
    version, _ = registered(registry, model, tmp_path, model_name, trusted_types=[own])
    with pytest.raises(InputError, match=f"Version 1 of model '{model_name}' holds types that are not trusted: {own}"):
        load(registry, version)
    assert load(registry, version, trusted_types=[own]).model.predict(X[:1]).tolist() == [0]


def test_a_function_without_a_name_cannot_be_saved_and_the_message_says_so(
    registry: Registry, tmp_path: Path, model_name: str
) -> None:
    model = make_pipeline(FunctionTransformer(lambda X: X), LogisticRegression()).fit(X, CLASSES)
    with pytest.raises(InputError, match=r"cannot be saved as skops|types that are not trusted"):
        registered(registry, model, tmp_path, model_name)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_in_the_models_place_is_refused_and_not_run(stored: tuple[Version, Path], tmp_path: Path) -> None:
    _, files = stored
    marker = tmp_path / "ran"
    (files / MODEL_FILE).write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(InputError, match=f"{MODEL_FILE} cannot be read"):
        read_model(files, where="Version 1 of model 'm'")
    assert not marker.exists()


def test_a_pickle_inside_a_skops_file_is_refused_and_not_run(stored: tuple[Version, Path], tmp_path: Path) -> None:
    _, files = stored
    marker = tmp_path / "ran"
    with zipfile.ZipFile(files / MODEL_FILE) as archive:
        schema = archive.read("schema.json")
        names = [name for name in archive.namelist() if name != "schema.json"]
    with zipfile.ZipFile(files / MODEL_FILE, "w") as archive:
        archive.writestr("schema.json", schema)
        for name in names:
            archive.writestr(name, pickle.dumps(Bomb(marker)))
    with pytest.raises(InputError, match=f"{MODEL_FILE} cannot be read"):
        read_model(files, where="Version 1 of model 'm'")
    assert not marker.exists()


def test_an_mlmodel_file_that_asks_for_a_pickle_is_not_obeyed(stored: tuple[Version, Path], tmp_path: Path) -> None:
    _, files = stored
    marker = tmp_path / "ran"
    (files / "model.pkl").write_bytes(pickle.dumps(Bomb(marker)))
    mlmodel = (files / "MLmodel").read_text()
    (files / "MLmodel").write_text(
        mlmodel.replace("model.skops", "model.pkl").replace(
            "serialization_format: skops", "serialization_format: pickle"
        )
    )
    assert (files / "MLmodel").read_text() != mlmodel
    assert read_model(files, where="The model").predict(X[:1]).shape == (1,)
    (files / MODEL_FILE).unlink()
    with pytest.raises(InputError, match="is a pickle, and reading one runs whatever code it holds"):
        read_model(files, where="Version 1 of model 'm'")
    assert not marker.exists()


@pytest.mark.parametrize("keep", [0, 10, 500, -50])
def test_a_cut_off_file_is_refused(stored: tuple[Version, Path], keep: int) -> None:
    _, files = stored
    path = files / MODEL_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=f"Version 1 of model .*{MODEL_FILE} cannot be read"):
        read_model(files, where="Version 1 of model 'm'")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: (files / MODEL_FILE).write_bytes(b"PK"), f"{MODEL_FILE} has 2 bytes"),
        (lambda files: (files / "MLmodel").write_text("flavors: {}"), "MLmodel has"),
        (lambda files: (files / "model.pkl").write_bytes(b""), "model.pkl was added"),
        (lambda files: (files / "requirements.txt").unlink(), "requirements.txt is missing"),
    ],
)
def test_files_that_were_changed_after_training_are_not_even_opened(
    registry: Registry, stored: tuple[Version, Path], change, said: str
) -> None:
    version, files = stored
    change(files)
    with pytest.raises(InputError, match=f"not those that were trained: {said}"):
        load(registry, version)


class Homemade(LogisticRegression):
    """A type of the user's own, which skops does not trust."""


def test_a_pickle_is_written_and_read_only_where_it_is_asked_for(
    registry: Registry, model_name: str, tmp_path: Path
) -> None:
    model = Homemade().fit(X, CLASSES)
    with pytest.raises(InputError, match="allow_pickle=True"):
        write_model(model, tmp_path / "refused", kinds=KINDS, task="multiclass", requirements=[])
    version, files = registered(registry, model, tmp_path, model_name, allow_pickle=True)
    assert not (files / MODEL_FILE).exists()
    with pytest.raises(InputError, match="is a pickle, and reading one runs whatever code it holds"):
        load(registry, version)
    loaded = load_version(registry, version, allow_pickle=True)
    assert loaded.pickled
    assert (loaded.model.predict(X) == model.predict(X)).all()


def test_a_pickle_whose_files_nobody_wrote_down_is_not_read(
    registry: Registry, model_name: str, tmp_path: Path
) -> None:
    _, files = registered(registry, Homemade().fit(X, CLASSES), tmp_path, model_name, allow_pickle=True)
    registry.client.create_model_version(model_name, source=str(files), run_id=None)
    with pytest.raises(InputError, match="Nobody wrote down"):
        load_version(registry, by_number(registry, model_name, "2"), allow_pickle=True)


def test_a_model_of_scikit_learns_own_parts_is_never_pickled(
    registry: Registry, model_name: str, tmp_path: Path
) -> None:
    version, _ = registered(registry, LINEAR.fit(X, CLASSES), tmp_path, model_name, allow_pickle=True)
    assert not load_version(registry, version).pickled


def test_files_that_are_gone_are_refused(registry: Registry, stored: tuple[Version, Path]) -> None:
    version, files = stored
    for path in sorted(files.rglob("*"), reverse=True):
        path.unlink()
    files.rmdir()
    with pytest.raises(InputError, match=f"version 1 of model '{version.model_name}' .*{MODEL_FILE} is missing"):
        load(registry, version)


def test_a_model_whose_files_cannot_be_stored_is_marked_failed(registry: Registry, tmp_path: Path) -> None:
    write_model(LINEAR.fit(X, CLASSES), tmp_path / "model", kinds=KINDS, task="multiclass", requirements=[])
    (tmp_path / "blocked").write_text("a file where a directory should be")
    # The same store, another place for files.
    elsewhere = replace(registry, server=replace(registry.server, artifact_root=str(tmp_path / "blocked")))
    with (
        pytest.raises(OutageError, match="could not be stored"),
        logged_run(elsewhere, experiment_name="blocked", run_name="r", tags={}) as run,
    ):
        log_model(run, tmp_path / "model", params={})
    (found,) = registry.client.search_logged_models([run.experiment_id])
    assert found.status == "FAILED"


def test_a_time_out_while_mlflow_is_down_stays_a_time_out(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TaskTimeoutError(BaseException):
        """As Airflow's own, which no ``except Exception`` catches."""

    def times_out(*_: object) -> None:
        raise TaskTimeoutError

    def down(*_: object, **__: object) -> None:
        raise ConnectionError("MLflow is down")

    (tmp_path / MODEL_FILE).write_text("a model")
    with logged_run(registry, experiment_name="down", run_name="r", tags={}) as run, monkeypatch.context() as now:
        now.setattr(registry.client, "log_model_artifacts", times_out)
        now.setattr(registry.client, "finalize_logged_model", down)
        with pytest.raises(TaskTimeoutError):
            log_model(run, tmp_path, params={})
