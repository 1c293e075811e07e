from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from airflow_mlops_provider.core.specs import Candidate
from airflow_mlops_provider.training.columns import Features
from airflow_mlops_provider.training.estimators import build_pipeline
from airflow_mlops_provider.training.importances import MAX_ROWS, permutation_importances
from airflow_mlops_provider.training.scorer import Scorer
from airflow_mlops_provider.training.target import Target


def importances(rows: pd.DataFrame, target: np.ndarray, *, metric: str = "roc_auc") -> dict[str, tuple[float, float]]:
    model = build_pipeline(
        Candidate(estimator="sklearn.linear_model.LogisticRegression"),
        features=Features(kinds=dict.fromkeys(rows.columns, "numeric"), dropped={}),
        high_cardinality=frozenset(),
        task="binary",
        seed=0,
    ).fit(rows, target)
    scorer = Scorer(metric=metric, target=Target(task="binary", values=target, classes=(0, 1)), target_name="y")
    return permutation_importances(model, rows, target, scorer=scorer, seed=0)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_the_column_that_matters_comes_first_and_the_other_counts_nothing(metric: str) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"noise": rng.normal(size=600), "signal": rng.normal(size=600)})
    found = importances(rows, (rows["signal"] > 0).to_numpy().astype(int), metric=metric)
    assert list(found) == ["signal", "noise"]
    assert found["signal"][0] > 0.4
    assert abs(found["noise"][0]) < 0.01
    assert all(type(one) is float and math.isfinite(one) for pair in found.values() for one in pair)


def test_a_rare_class_is_in_the_sample() -> None:
    n = 20 * MAX_ROWS
    target = np.zeros(n, dtype=int)
    target[:4] = 1
    rows = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n) + 9 * target})
    assert importances(rows, target)["x"][0] > 0.1


def test_the_values_are_those_of_scikit_learns_definition() -> None:
    """The mean over many shuffles is scikit-learn's, whose shuffles differ from ours."""
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(size=(1500, 3)), columns=["a", "b", "c"])
    target = (rows["a"] + 0.5 * rows["b"] + rng.normal(size=1500) > 0).to_numpy().astype(int)
    model = LogisticRegression().fit(rows, target)
    theirs = permutation_importance(model, rows, target, scoring="roc_auc", n_repeats=50, random_state=0)
    scorer = Scorer(metric="roc_auc", target=Target(task="binary", values=target, classes=(0, 1)), target_name="y")
    ours = permutation_importances(model, rows, target, scorer=scorer, seed=0)
    for name, mean, deviation in zip(rows.columns, theirs.importances_mean, theirs.importances_std, strict=True):
        # Ours is the mean of five shuffles.
        assert ours[name][0] == pytest.approx(mean, abs=5 * deviation / np.sqrt(5))


def test_many_columns_are_measured_on_fewer_rows() -> None:
    from airflow_mlops_provider.training.importances import MIN_ROWS, _sample

    values = np.arange(10_000)
    sizes = [len(_sample(values, columns=columns, by_class=False, seed=0)) for columns in (3, 29, 500)]
    assert sizes == [MAX_ROWS, 689, MIN_ROWS]
