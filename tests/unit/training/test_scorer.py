from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score, root_mean_squared_error
from sklearn.svm import LinearSVC

from airflow_mlops_provider.training.scorer import Scorer
from airflow_mlops_provider.training.target import Target

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = y.to_numpy()
MODEL = LogisticRegression(max_iter=5000).fit(X.iloc[::2, :5], y[::2])
ROWS, TRUTH = X.iloc[1::2, :5], y[1::2]


def scorer(metric: str, **arguments) -> Scorer:
    return Scorer(
        metric=metric, target=Target(task="binary", values=y, classes=(0, 1)), target_name="target", **arguments
    )


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("roc_auc", roc_auc_score(TRUTH, MODEL.predict_proba(ROWS)[:, 1])),
        ("accuracy", accuracy_score(TRUTH, MODEL.predict(ROWS))),
        ("log_loss", -log_loss(TRUTH, MODEL.predict_proba(ROWS)[:, 1])),
    ],
)
def test_the_score_is_scikit_learns_with_the_sign_that_makes_greater_better(metric: str, expected: float) -> None:
    told: list[float] = []
    assert scorer(metric, tell=told.append)(MODEL, ROWS, TRUTH) == pytest.approx(expected)
    assert told == [pytest.approx(abs(expected))]


def test_decision_values_rank_as_well() -> None:
    model = LinearSVC(random_state=0).fit(X.iloc[::2, :5], y[::2])
    expected = roc_auc_score(TRUTH, model.decision_function(ROWS))
    assert scorer("roc_auc")(model, ROWS, TRUTH) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "log_loss"])
def test_tables_scored_in_one_call_have_the_scores_of_each_alone(metric: str) -> None:
    tables = [ROWS, ROWS.iloc[::-1].reset_index(drop=True), ROWS.assign(**{"mean radius": 0.0})]
    together = scorer(metric).parts(MODEL, pd.concat(tables, ignore_index=True), TRUTH, parts=3)
    assert together == pytest.approx([scorer(metric)(MODEL, table, TRUTH) for table in tables])
    assert len(set(together)) == 3


def test_a_regression_is_scored_by_its_error() -> None:
    values = X["worst area"].to_numpy()
    model = Ridge().fit(X.iloc[:, :5], values)
    score = Scorer(metric="rmse", target=Target(task="regression", values=values, classes=()), target_name="area")
    expected = root_mean_squared_error(values, model.predict(X.iloc[:, :5]))
    assert score(model, X.iloc[:, :5], values) == pytest.approx(-expected)
    assert score.parts(model, X.iloc[:, :5], values, parts=1) == pytest.approx([-expected])
    assert np.isfinite(expected)
