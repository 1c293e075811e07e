from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.training.scoring import BatchScorer

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame(RNG.normal(size=(600, 3)), columns=["a", "b", "c"])
KINDS = dict.fromkeys(ROWS, "numeric")
BINARY = np.where(ROWS["a"] + RNG.normal(size=600) > 0, "yes", "no").astype(object)
THREE = np.digitize(ROWS["a"] + 0.3 * RNG.normal(size=600), [-0.5, 0.5])
TABLE = pa.Table.from_pandas(ROWS)

CLASSIFIERS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    DecisionTreeClassifier(max_depth=3),
    RandomForestClassifier(4, random_state=0),
    HistGradientBoostingClassifier(max_iter=5),
    FixedThresholdClassifier(LogisticRegression(), threshold=0.2),
    LinearSVC(),
    SVC(),
]


def fitted(model: Any, values: Any) -> Any:
    return model.fit(ROWS, values)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("classes", [["no", "yes"], ["yes", "no"]])
def test_two_classes_come_out_as_the_model_itself_says(model: Any, classes: list[str]) -> None:
    fitted(model, BINARY)
    scored = BatchScorer(model, task="binary", classes=classes, kinds=KINDS).score(TABLE)
    assert scored.column("prediction").to_pylist() == model.predict(ROWS).tolist()
    if hasattr(model, "predict_proba"):
        expected = model.predict_proba(ROWS)[:, list(model.classes_).index(classes[1])]
        np.testing.assert_array_equal(scored.column("probability"), expected)
    else:
        assert scored.column_names == ["prediction"]


def test_where_two_classes_are_as_likely_the_models_own_choice_counts() -> None:
    model = fitted(DecisionTreeClassifier(max_depth=1), np.array(["no", "yes"] * 300, dtype=object))
    model.tree_.value[:] = 0.5
    scored = BatchScorer(model, task="binary", classes=["yes", "no"], kinds=KINDS).score(TABLE)
    assert scored.column("prediction").to_pylist() == model.predict(ROWS).tolist()


def test_several_classes_have_a_probability_each_and_that_of_the_chosen_one() -> None:
    model = fitted(LogisticRegression(), THREE)
    scored = BatchScorer(model, task="multiclass", classes=[0, 1, 2], kinds=KINDS).score(TABLE)
    assert scored.column_names == ["prediction", "probability", "probability_0", "probability_1", "probability_2"]
    np.testing.assert_array_equal(scored.column("prediction"), model.predict(ROWS))
    np.testing.assert_array_equal(scored.column("probability"), model.predict_proba(ROWS).max(axis=1))
    np.testing.assert_array_equal(scored.column("probability_2"), model.predict_proba(ROWS)[:, 2])


def test_a_regression_gives_numbers() -> None:
    model = fitted(Ridge(), ROWS["a"] * 3)
    scored = BatchScorer(model, task="regression", classes=[], kinds=KINDS).score(TABLE)
    np.testing.assert_array_equal(scored.column("prediction"), model.predict(ROWS))


def test_columns_are_taken_by_name_whatever_their_order_and_company() -> None:
    model = fitted(LogisticRegression(), BINARY)
    scorer = BatchScorer(model, task="binary", classes=["no", "yes"], kinds=KINDS)
    turned = TABLE.select(["c", "a", "b"]).append_column("more", pa.nulls(600))
    assert scorer.score(turned).equals(scorer.score(TABLE))


def test_files_of_another_model_are_refused_by_features_and_by_classes() -> None:
    model = fitted(LogisticRegression(), BINARY)
    with pytest.raises(InputError, match="features"):
        BatchScorer(model, task="binary", classes=["no", "yes"], kinds={"a": "numeric"})
    with pytest.raises(InputError, match="classes"):
        BatchScorer(model, task="binary", classes=["stays", "leaves"], kinds=KINDS)
    with pytest.raises(InputError, match="classes"):
        BatchScorer(fitted(Ridge(), ROWS["a"]), task="binary", classes=["no", "yes"], kinds=KINDS)


def test_rows_the_model_cannot_predict_are_refused_with_its_reason() -> None:
    scorer = BatchScorer(fitted(LogisticRegression(), BINARY), task="binary", classes=["no", "yes"], kinds=KINDS)
    with pytest.raises(InputError, match="NaN"):
        scorer.score(TABLE.set_column(0, "a", pa.nulls(600, pa.float64())))


def test_a_probability_that_is_nan_goes_out_as_nan() -> None:
    class Broken(DummyClassifier):
        def predict_proba(self, X: Any) -> Any:
            return np.full((len(X), 2), np.nan)

    scorer = BatchScorer(fitted(Broken(), BINARY), task="binary", classes=["no", "yes"], kinds=KINDS)
    assert np.isnan(scorer.score(TABLE).column("probability")).all()
