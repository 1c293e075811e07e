from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Split, TrainSettings, candidates_of
from airflow_mlops_provider.training.train import Trained, train, train_by

LINEAR = "sklearn.linear_model.LogisticRegression"


def table_of(load) -> pa.Table:
    return pa.Table.from_pandas(load(as_frame=True).frame, preserve_index=False)


def trained(table: pa.Table, estimator: object, *, target: str = "target", **settings) -> Trained:
    return train(
        table,
        target=target,
        candidates=candidates_of(estimator),
        settings=TrainSettings(**{"folds": 0} | settings),
        log=lambda _: None,
    )


@pytest.fixture(scope="module")
def customers(telco: Path) -> pa.Table:
    return pyarrow.csv.read_csv(telco)


@pytest.mark.parametrize(
    ("load", "estimator", "task", "metric", "least"),
    [
        (load_breast_cancer, LINEAR, "binary", "roc_auc", 0.95),
        (load_wine, LINEAR, "multiclass", "roc_auc", 0.95),
        (load_diabetes, "sklearn.linear_model.Ridge", "regression", "r2", 0.3),
    ],
)
def test_each_kind_of_task_works_by_changing_arguments_only(
    load, estimator: str, task: str, metric: str, least: float
) -> None:
    outcome = trained(table_of(load), estimator, folds=3, split=Split(holdout_share=0.3))
    assert outcome.prepared.target.task == task
    assert outcome.metrics[metric].value > least
    assert outcome.metrics[metric].lower < outcome.metrics[metric].value <= outcome.metrics[metric].upper
    assert len(outcome.result.fold_scores) == 3
    assert set(outcome.importances) == set(outcome.prepared.features.kinds)
    if task == "regression":
        assert outcome.metrics["rmse"].value < outcome.baseline_metrics["rmse"].value
    else:
        assert outcome.baseline_metrics["roc_auc"].value == 0.5


def test_the_held_out_metric_is_scikit_learns_on_rows_that_were_not_fitted(customers: pa.Table) -> None:
    outcome = trained(customers, LINEAR, target="churn")
    held = outcome.prepared.holdout_rows
    truth = outcome.prepared.holdout_values == "Yes"
    expected = roc_auc_score(truth, outcome.model.predict_proba(held)[:, 1])
    assert outcome.metrics["roc_auc"].value == pytest.approx(expected)
    assert outcome.metrics["roc_auc"].n_rows == len(held)


DIGEST = """
import json, sys
import numpy as np, pyarrow.csv
from airflow_mlops_provider.core.specs import TrainSettings, candidates_of
from airflow_mlops_provider.training.train import train
table = pyarrow.csv.read_csv(sys.argv[1])
table = table.take(np.random.default_rng(5).permutation(table.num_rows))
done = train(table, target="churn", candidates=candidates_of(json.loads(sys.argv[2])),
             settings=TrainSettings(folds=0, seed=4), log=lambda _: None)
print(done.digest, done.metrics["roc_auc"].value)
"""


def test_the_same_rows_give_the_same_model_in_another_process_and_in_another_order(
    customers: pa.Table, telco: Path
) -> None:
    for estimator in (
        {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 20}},
        {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 20}},
    ):
        here = trained(customers, estimator, target="churn", seed=4)
        done = subprocess.run(
            [sys.executable, "-c", DIGEST, str(telco), json.dumps(estimator)],
            env={**os.environ, "PYTHONHASHSEED": "77"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split()[1] == str(here.metrics["roc_auc"].value)
        assert done.stdout.split()[0] == here.digest
        assert trained(customers, estimator, target="churn", seed=5).digest != here.digest


def test_class_weights_move_the_predictions_towards_the_rare_class(customers: pa.Table) -> None:
    plain = trained(customers, LINEAR, target="churn").metrics["recall"].value
    weighted = trained(customers, LINEAR, target="churn", class_weight="balanced").metrics["recall"].value
    assert weighted > plain + 0.1


def test_the_positive_class_decides_whose_recall_is_meant(customers: pa.Table) -> None:
    yes = trained(customers, LINEAR, target="churn")
    no = trained(customers, LINEAR, target="churn", positive_class="No")
    assert no.metrics["roc_auc"].value == pytest.approx(yes.metrics["roc_auc"].value)
    assert no.metrics["recall"].value > yes.metrics["recall"].value + 0.2


def test_a_classifier_without_probabilities_is_ranked_by_its_decision_values(customers: pa.Table) -> None:
    outcome = trained(customers, "sklearn.svm.LinearSVC", target="churn")
    assert outcome.metrics["roc_auc"].value > 0.8
    assert "log_loss" not in outcome.metrics
    with pytest.raises(InputError, match="LinearSVC has no metric 'log_loss'"):
        trained(customers, "sklearn.svm.LinearSVC", target="churn", metric="log_loss")


def test_a_wrong_candidate_is_found_before_the_good_one_is_fitted(customers: pa.Table) -> None:
    lines: list[str] = []
    with pytest.raises(InputError, match="cannot be imported"):
        train(
            customers,
            target="churn",
            candidates=candidates_of([LINEAR, "sklearn.svm.SVM"]),
            settings=TrainSettings(),
            log=lines.append,
        )
    assert not any("Candidate 1/2" in line for line in lines)


def test_what_is_left_out_is_told(customers: pa.Table) -> None:
    lines: list[str] = []
    table = customers.append_column("empty", pa.nulls(customers.num_rows))
    train(
        table,
        target="churn",
        candidates=candidates_of(LINEAR),
        settings=TrainSettings(folds=0, drop_columns=["female"]),
        log=lines.append,
    )
    assert "Column 'empty' is left out: all values are null" in lines
    assert "Column 'female' is left out: not wanted" in lines


def by(fit, table: pa.Table, *, target: str = "churn", **settings) -> Trained:
    return train_by(
        fit, table, target=target, name="own", settings=TrainSettings(folds=0, **settings), log=lambda _: None
    )


def encoded_linear(X: pd.DataFrame, y: np.ndarray):
    encode = make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_include=object)),
        remainder=make_pipeline(SimpleImputer(), StandardScaler()),
    )
    return make_pipeline(encode, LogisticRegression()).fit(X, y)


def test_a_users_function_gets_training_rows_only_and_is_judged_like_any_other(customers: pa.Table) -> None:
    seen: list[int] = []

    def fit(X: pd.DataFrame, y: np.ndarray):
        seen.append(len(X))
        X_copy = X.copy()
        model = encoded_linear(X_copy, y)
        X.iloc[:, :] = np.nan  # what the function does to its rows is its own affair
        return model

    outcome = by(fit, customers)
    assert seen == [len(outcome.prepared.rows)]
    assert len(outcome.prepared.rows) < customers.num_rows
    assert not outcome.prepared.rows.isna().all(axis=None)
    assert outcome.metrics["roc_auc"].value > 0.8


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda X, y: None, "own must return a fitted scikit-learn estimator; got NoneType"),
        (lambda X, y: LogisticRegression(), "own returned LogisticRegression unfitted"),
        (
            lambda X, y: LinearRegression().fit(X[["tenure"]], y == "Yes"),
            r"'own' \(LinearRegression\) cannot do binary",
        ),
        (
            lambda X, y: LogisticRegression(max_iter=5000).fit(X.select_dtypes("float64").fillna(0), y),
            r"cannot predict held-out rows: [^$]*Hint: return a pipeline",
        ),
        (
            lambda X, y: encoded_linear(X, (y == "Yes").astype(int)),
            r"The model knows the classes \[0, 1\], the target has \['No', 'Yes'\]",
        ),
    ],
)
def test_a_function_that_returns_no_usable_model_is_refused(customers: pa.Table, fit, message: str) -> None:
    with pytest.raises(InputError, match=message):
        by(fit, customers)
