from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Candidate, Search
from airflow_mlops_provider.training.columns import Features
from airflow_mlops_provider.training.estimators import build_pipeline
from airflow_mlops_provider.training.fit import choose, model_digest
from airflow_mlops_provider.training.scorer import Scorer
from airflow_mlops_provider.training.target import Target

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :6]
y = y.to_numpy()
FOLDS = list(StratifiedKFold(n_splits=3, shuffle=True, random_state=0).split(X, y))
FEATURES = Features(kinds=dict.fromkeys(X.columns, "numeric"), dropped={})
TREE = "sklearn.tree.DecisionTreeClassifier"
LINEAR = "sklearn.linear_model.LogisticRegression"


def scorer(metric: str = "roc_auc") -> Scorer:
    return Scorer(metric=metric, target=Target(task="binary", values=y, classes=(0, 1)), target_name="y")


def build(candidate: Candidate):
    return build_pipeline(candidate, features=FEATURES, high_cardinality=frozenset(), task="binary", seed=0)


def chosen(*candidates: Candidate, metric: str = "roc_auc", folds=FOLDS, log=lambda _: None):
    return choose(candidates, build=build, rows=X, scorer=scorer(metric), folds=folds, seed=0, log=log)


def test_fold_scores_are_those_of_scikit_learns_own_cross_validation() -> None:
    _, result, _ = chosen(Candidate(estimator=LINEAR))
    theirs = cross_val_score(build(Candidate(estimator=LINEAR)), X, y, cv=FOLDS, scoring="roc_auc")
    assert result.fold_scores == pytest.approx(theirs)
    assert result.mean == pytest.approx(theirs.mean())


@pytest.mark.parametrize(("metric", "better"), [("roc_auc", LINEAR), ("log_loss", LINEAR)])
def test_the_best_candidate_wins_whichever_way_the_metric_points(metric: str, better: str) -> None:
    stump = Candidate(estimator=TREE, params={"max_depth": 1}, name="stump")
    for order in ([stump, Candidate(estimator=better)], [Candidate(estimator=better), stump]):
        model, result, results = chosen(*order, metric=metric)
        assert result.name == "LogisticRegression"
        assert [one.name for one in results] == [one.label for one in order]
        assert roc_auc_score(y, model.predict_proba(X)[:, 1]) > 0.97


def test_every_step_is_told() -> None:
    lines: list[str] = []
    chosen(
        Candidate(estimator=LINEAR, search=Search(space={"C": [0.1, 1.0]})),
        Candidate(estimator=TREE),
        log=lines.append,
    )
    text = "\n".join(lines)
    assert "Candidate 1/2: LogisticRegression" in text
    assert "Candidate 2/2: DecisionTreeClassifier" in text
    assert text.count("  search fit ") == 6
    assert text.count("  fold ") == 6
    assert "on all 569 training rows" in lines[-1]


def test_warnings_of_an_estimator_become_log_lines_and_are_counted() -> None:
    lines: list[str] = []
    chosen(Candidate(estimator=LINEAR, params={"max_iter": 1}), log=lines.append)
    assert any(line.startswith("  warning from LogisticRegression (3 x): lbfgs failed to converge") for line in lines)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (
            Candidate(estimator=LINEAR, params={"C": "big"}),
            r"'LogisticRegression' cannot be fitted with \{'C': 'big'\}",
        ),
        (Candidate(estimator=LINEAR, params={"C": -1}), "The 'C' parameter of LogisticRegression"),
        (
            Candidate(estimator=LINEAR, search=Search(space={"D": [1]})),
            "no parameter 'D' to search over. Hint: there are C",
        ),
        (Candidate(estimator=LINEAR, search=Search(space={"C": [-1]})), "The 'C' parameter of LogisticRegression"),
        (Candidate(estimator=LINEAR, search=Search(space={"C": 1})), "cannot be fitted"),
        (
            Candidate(estimator=TREE, search=Search(space={"max_depth": range(1, 500)}, method="halving", n_iter=400)),
            "halving from 400 combinations starts from too few rows",
        ),
    ],
)
def test_wrong_parameters_are_refused_with_what_was_given(candidate: Candidate, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(candidate)


@pytest.mark.parametrize(
    "candidates",
    [
        [Candidate(estimator=LINEAR), Candidate(estimator=TREE)],
        [Candidate(estimator=LINEAR, search=Search(space={"C": [1]}))],
    ],
)
def test_without_folds_there_is_nothing_to_choose_by(candidates: list[Candidate]) -> None:
    with pytest.raises(InputError, match="folds must be at least 2 to choose"):
        chosen(*candidates, folds=[])


def test_one_candidate_needs_no_folds() -> None:
    _, result, _ = chosen(Candidate(estimator=LINEAR), folds=[])
    assert (result.fold_scores, result.mean) == ((), None)


def test_a_fold_on_which_the_metric_is_undefined_is_named() -> None:
    positives = np.flatnonzero(y == 1)
    folds = [FOLDS[0], (FOLDS[1][0], positives[:50])]
    with pytest.raises(InputError, match="Fold 2 of 2 cannot be judged: roc_auc is undefined"):
        chosen(Candidate(estimator=LINEAR), folds=folds)


def test_equal_fits_have_equal_digests_and_others_have_not() -> None:
    def fitted(path: str, **params):
        return build(Candidate(estimator=path, params=params)).fit(X, y)

    for path in (LINEAR, TREE, "sklearn.ensemble.HistGradientBoostingClassifier"):
        assert model_digest(fitted(path)) == model_digest(fitted(path))
    assert model_digest(fitted(LINEAR)) != model_digest(fitted(LINEAR, C=2.0))
    assert len(model_digest(fitted(LINEAR))) == 40
