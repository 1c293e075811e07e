from __future__ import annotations

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold

from airflow_mlops_provider.core.specs import Candidate, Search
from airflow_mlops_provider.training.columns import Features
from airflow_mlops_provider.training.estimators import build_pipeline
from airflow_mlops_provider.training.scorer import Scorer
from airflow_mlops_provider.training.search import search_parameters
from airflow_mlops_provider.training.target import Target

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :6]
y = y.to_numpy()
FOLDS = list(StratifiedKFold(n_splits=3, shuffle=True, random_state=0).split(X, y))
FEATURES = Features(kinds=dict.fromkeys(X.columns, "numeric"), dropped={})
TREE = Candidate(estimator="sklearn.tree.DecisionTreeClassifier", params={"min_samples_leaf": 20})
LINEAR = Candidate(estimator="sklearn.linear_model.LogisticRegression")


def found_by(search: Search, candidate: Candidate, *, log=lambda _: None) -> dict:
    pipeline = build_pipeline(candidate, features=FEATURES, high_cardinality=frozenset(), task="binary", seed=0)
    target = Target(task="binary", values=y, classes=(0, 1))
    scorer = Scorer(metric="roc_auc", target=target, target_name="y")
    return search_parameters(search, pipeline, X, y, scorer=scorer, folds=FOLDS, seed=0, log=log)


@pytest.mark.parametrize(("method", "fits"), [("grid", 4 * 3), ("random", 4 * 3), ("halving", 4 * 3 + 2 * 3)])
def test_a_search_finds_the_planted_best_and_tells_each_fit(method: str, fits: int) -> None:
    lines: list[str] = []
    search = Search(space={"max_depth": [1, 5], "max_features": [1, 6]}, method=method, n_iter=4)
    assert found_by(search, TREE, log=lines.append) == {"model__max_depth": 5, "model__max_features": 6}
    assert sum(line.startswith("  search fit ") for line in lines) == fits


def test_names_mean_the_estimators_parameter_first_and_may_reach_into_the_preprocessing() -> None:
    search = Search(space={"verbose": [0], "preprocessing__numeric__scale__with_mean": [True]})
    assert found_by(search, LINEAR) == {"model__verbose": 0, "preprocessing__numeric__scale__with_mean": True}


def test_a_distribution_is_searched_with_the_seed() -> None:
    from scipy.stats import loguniform

    search = Search(space={"C": loguniform(0.01, 1)}, method="random", n_iter=3)
    first, second = found_by(search, LINEAR), found_by(search, LINEAR)
    assert first == second
    assert 0.01 <= first["model__C"] <= 1
