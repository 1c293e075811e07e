from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Candidate
from airflow_mlops_provider.training.columns import Features
from airflow_mlops_provider.training.estimators import build_pipeline

FEATURES = Features(kinds={"n": "numeric", "c": "categorical"}, dropped={})
ROWS = pd.DataFrame(
    {"n": np.arange(40) % 7 + 0.5, "c": pd.Series(["a", "b", "d", "a"] * 10, dtype=object)},
)
CLASSES = np.arange(40) % 2


def build(estimator: object, *, task: str = "binary", features: Features = FEATURES, **arguments) -> Pipeline:
    candidate = Candidate(estimator=estimator, params=arguments.pop("params", {}))
    high = arguments.pop("high_cardinality", frozenset())
    return build_pipeline(
        candidate, features=features, high_cardinality=high, task=task, seed=arguments.pop("seed", 3), **arguments
    )


def steps_of(pipeline: Pipeline) -> set[str]:
    return {type(part).__name__ for part in pipeline.get_params().values()}


LINEAR = "sklearn.linear_model.LogisticRegression"
FOREST = "sklearn.ensemble.RandomForestClassifier"
BOOSTING = "sklearn.ensemble.GradientBoostingClassifier"
HISTOGRAM = "sklearn.ensemble.HistGradientBoostingClassifier"


@pytest.mark.parametrize(
    ("estimator", "imputes", "scales"),
    [
        (LINEAR, True, True),
        ("sklearn.svm.SVC", True, True),
        ("sklearn.neighbors.KNeighborsClassifier", True, True),
        (FOREST, False, False),
        (BOOSTING, True, False),
        (HISTOGRAM, False, False),
        (VotingClassifier([("svm", SVC()), ("linear", LogisticRegression())]), True, True),
        (BaggingClassifier(SVC()), True, True),
    ],
)
def test_numbers_are_imputed_and_scaled_only_where_the_estimator_needs_it(
    estimator: object, imputes: bool, scales: bool
) -> None:
    parts = steps_of(build(estimator))
    assert ("SimpleImputer" in parts, "StandardScaler" in parts) == (imputes, scales)


@pytest.mark.parametrize("estimator", [LINEAR, FOREST, BOOSTING, HISTOGRAM])
def test_new_gaps_and_new_categories_at_prediction_are_no_error(estimator: str) -> None:
    model = build(estimator).fit(ROWS, CLASSES)
    strange = pd.DataFrame({"n": [np.nan, 1.0, 2.0], "c": pd.Series(["new", np.nan, "a"], dtype=object)})
    assert np.isfinite(model.predict_proba(strange)).all()


def test_a_missing_category_is_a_category_of_its_own() -> None:
    rows = ROWS.assign(c=pd.Series(np.where(CLASSES == 1, np.nan, ROWS["c"].to_numpy()), dtype=object))
    model = build(LINEAR).fit(rows, CLASSES)
    assert model.predict(rows.assign(n=0.0)).tolist() == CLASSES.tolist()


def test_many_categories_are_encoded_by_their_mean_target_with_unseen_ones_at_the_overall_mean() -> None:
    texts = [f"city{i % 80}" for i in range(800)]
    rows = pd.DataFrame({"c": pd.Series(texts, dtype=object)})
    target = np.array([int(text[4:]) % 2 for text in texts])
    features = Features(kinds={"c": "categorical"}, dropped={})
    model = build(LINEAR, features=features, high_cardinality=frozenset({"c"})).fit(rows, target)
    assert "TargetEncoder" in steps_of(model)
    assert model[:-1].transform(rows).shape == (800, 1)
    assert model.score(rows, target) == 1.0
    unseen = pd.DataFrame({"c": pd.Series(["nowhere"], dtype=object)})
    assert model[:-1].transform(unseen)[0, 0] == pytest.approx(target.mean())


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_many_categories_work_for_every_task(task: str) -> None:
    texts = [f"city{i % 60}" for i in range(600)]
    features = Features(kinds={"c": "categorical"}, dropped={})
    path = "sklearn.linear_model.Ridge" if task == "regression" else LINEAR
    target = np.array([int(text[4:]) for text in texts], dtype=float)
    if task == "multiclass":
        target = np.array(["x", "y", "z"], dtype=object)[target.astype(int) % 3]
    model = build(path, task=task, features=features, high_cardinality=frozenset({"c"}))
    assert model.fit(pd.DataFrame({"c": texts}), target).predict(pd.DataFrame({"c": ["nowhere"]})).shape == (1,)


def test_everything_random_gets_the_seed_unless_the_user_set_one() -> None:
    parts = build(
        VotingClassifier([("forest", RandomForestClassifier()), ("own", RandomForestClassifier(random_state=7))])
    )
    seeds = {name: value for name, value in parts.get_params().items() if name.endswith("random_state")}
    assert seeds["model__forest__random_state"] == 3
    assert seeds["model__own__random_state"] == 7
    assert build(FOREST, params={"random_state": 9}).get_params()["model__random_state"] == 9


def test_a_given_pipeline_is_left_alone() -> None:
    own = make_pipeline(MinMaxScaler(), LogisticRegression())
    pipeline = build(own)
    assert list(pipeline.named_steps) == ["model"]
    assert steps_of(pipeline) & {"MinMaxScaler", "ColumnTransformer"} == {"MinMaxScaler"}


def test_a_given_estimator_is_copied_not_changed() -> None:
    own = LogisticRegression(C=5)
    pipeline = build(own, params={"tol": 0.1}).fit(ROWS, CLASSES)
    assert pipeline.get_params()["model__C"] == 5
    assert own.tol != 0.1
    assert not hasattr(own, "coef_")


def test_preprocessing_can_be_given_or_switched_off() -> None:
    features = Features(kinds={"n": "numeric"}, dropped={})
    assert list(build(LINEAR, features=features, preprocessing=None).named_steps) == ["model"]
    given = build(LINEAR, features=features, preprocessing=StandardScaler())
    assert isinstance(given.named_steps["preprocessing"], StandardScaler)
    with pytest.raises(InputError, match="preprocessing must be 'auto', None or a scikit-learn transformer; got 'off'"):
        build(LINEAR, preprocessing="off")


def test_class_weights_reach_the_estimator_or_are_refused() -> None:
    assert build(LINEAR, class_weight="balanced").get_params()["model__class_weight"] == "balanced"
    assert build(FOREST, class_weight={0: 1, 1: 5}).get_params()["model__class_weight"] == {0: 1, 1: 5}
    with pytest.raises(InputError, match=r"GradientBoostingClassifier.*has no class_weight"):
        build(BOOSTING, class_weight="balanced")


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.Popen",
        "os.system",
        "builtins.eval",
        "sklearn.datasets.load_iris",
        "sklearn.linear_model",
        "airflow.sdk.BaseOperator",
    ],
)
def test_what_is_no_estimator_class_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=f"'{path}' is not a scikit-learn estimator class"):
        build(path)


def test_what_is_no_estimator_class_is_never_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "called"
    (tmp_path / "own_module_of_a_user.py").write_text(
        "from pathlib import Path\n"
        "def build(path): Path(path).touch()\n"
        "class Model:\n    def __new__(cls, path): Path(path).touch()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for path in ("own_module_of_a_user.build", "own_module_of_a_user.Model"):
        with pytest.raises(InputError):
            build(path, params={"path": str(marker)})
    with pytest.raises(InputError):
        build("subprocess.Popen", params={"args": ["touch", str(marker)]})
    assert not marker.exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("LogisticRegression", "is not an import path"),
        ("", "is not an import path"),
        (".linear_model.Lasso", "is not an import path"),
        ("sklearn..svm.SVC", "is not an import path"),
        ("unittest.__main__.Anything", "is not an import path"),
        ("sklearn.linear_model.LogisticRegresion", "cannot be imported"),
        ("sklearn.nowhere.SVC", "cannot be imported"),
        ("sklearn.svm.SVC.fit", "cannot be imported"),
    ],
)
def test_a_wrong_import_path_is_refused_by_name(path: str, message: str) -> None:
    with pytest.raises(InputError, match=f"Estimator '{path}' {message}"):
        build(path)


@pytest.mark.parametrize("body", ["raise RuntimeError('broken')", "import sys; sys.exit(3)", "1 / 0"])
def test_a_module_that_fails_while_it_is_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    name = f"broken_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="cannot be imported"):
        build(f"{name}.Model")


@pytest.mark.parametrize(
    ("estimator", "task", "params", "message"),
    [
        ("sklearn.linear_model.Ridge", "binary", {}, r"\(Ridge\) cannot do binary. Hint: give a classifier"),
        (LINEAR, "regression", {}, "cannot do regression. Hint: give a regressor"),
        ("sklearn.preprocessing.StandardScaler", "binary", {}, "cannot do binary"),
        ("sklearn.cluster.KMeans", "binary", {}, "cannot do binary"),
        ("sklearn.base.BaseEstimator", "binary", {}, "cannot do binary"),
        (LINEAR, "binary", {"D": 1}, r"cannot be made with \{'D': 1\}"),
        ("sklearn.ensemble.VotingClassifier", "binary", {}, "cannot be made with"),
        (LogisticRegression(), "binary", {"D": 1}, r"cannot be given \{'D': 1\}"),
        (42, "binary", {}, "must be an import path or a scikit-learn estimator"),
        (LogisticRegression, "binary", {}, "must be an import path or a scikit-learn estimator"),
    ],
)
def test_an_estimator_that_cannot_do_the_task_is_refused(
    estimator: object, task: str, params: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(estimator, task=task, params=params)
