from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.training.predict import predict

WINE = load_wine()
NAMES = np.array(["red", "white", "blush"], dtype=object)[WINE.target]
CANCER = load_breast_cancer()
WORDS = np.array(["malignant", "benign"], dtype=object)[CANCER.target]


def predictions(model: object, X: object, y: np.ndarray, classes: tuple, task: str) -> Predictions:
    return predict(model, pd.DataFrame(X), y, task=task, classes=classes, target="y")


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("malignant", "benign")])
def test_probabilities_and_codes_follow_our_order_of_classes_not_the_models(classes: tuple[str, str]) -> None:
    model = GaussianNB().fit(pd.DataFrame(CANCER.data), WORDS)
    found = predictions(model, CANCER.data, WORDS, classes, "binary")
    assert found.labels == classes
    position = model.classes_.tolist().index(classes[1])
    np.testing.assert_array_equal(
        found.probabilities[:, 1], model.predict_proba(pd.DataFrame(CANCER.data))[:, position]
    )
    np.testing.assert_array_equal(found.y_true, (classes[1] == WORDS).astype(int))
    np.testing.assert_array_equal(found.predicted, (model.predict(pd.DataFrame(CANCER.data)) == classes[1]).astype(int))


def test_decision_values_stand_in_for_probabilities_and_grow_with_the_positive_class() -> None:
    model = LinearSVC(random_state=0).fit(pd.DataFrame(CANCER.data), WORDS)
    for classes in (("benign", "malignant"), ("malignant", "benign")):
        found = predictions(model, CANCER.data, WORDS, classes, "binary")
        assert found.probabilities is None
        assert found.margins[found.y_true == 1].mean() > found.margins[found.y_true == 0].mean()


def test_several_classes_keep_their_columns() -> None:
    classes = ("white", "red", "blush")
    model = SVC(gamma=1e-4).fit(pd.DataFrame(WINE.data), NAMES)
    found = predictions(model, WINE.data, NAMES, classes, "multiclass")
    assert found.margins.shape == (178, 3)
    np.testing.assert_array_equal(found.margins.argmax(axis=1), found.predicted)


def test_decision_values_of_pairs_of_classes_are_not_taken_for_those_of_classes() -> None:
    model = SVC(decision_function_shape="ovo").fit(pd.DataFrame(WINE.data), NAMES)
    found = predictions(model, WINE.data, NAMES, ("red", "white", "blush"), "multiclass")
    assert found.margins is None


def test_a_regression_is_plain_numbers() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(pd.DataFrame(X), y)
    found = predictions(model, X, y, (), "regression")
    np.testing.assert_allclose(found.predicted, model.predict(pd.DataFrame(X)))


@pytest.mark.parametrize(
    "values", [np.array([0, 1, 1]), np.array([False, True, True]), np.array(["a", "b", "b"], dtype=object)]
)
def test_labels_of_every_type_meet_their_codes(values: np.ndarray) -> None:
    rows = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
    model = DecisionTreeClassifier().fit(rows, values)
    classes = tuple(sorted(set(values.tolist())))
    assert predict(model, rows, values, task="binary", classes=classes, target="y").predicted.tolist() == [0, 1, 1]


def test_a_model_of_other_classes_is_refused() -> None:
    model = LogisticRegression(max_iter=5000).fit(pd.DataFrame(CANCER.data), WORDS)
    with pytest.raises(InputError, match=r"The model knows the classes \['benign', 'malignant'\]"):
        predictions(model, CANCER.data, np.array(["good"] * 569, dtype=object), ("bad", "good"), "binary")
