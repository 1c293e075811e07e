"""Metrics with intervals and paired comparison: scikit-learn's values, honest intervals, no NaN."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import metric_names
from airflow_mlops_provider.core.performance import compare, evaluate
from airflow_mlops_provider.core.predictions import Predictions


def binary(y_true, score):
    return Predictions(
        task="binary",
        labels=("stays", "leaves"),
        y_true=y_true,
        predicted=(score >= 0.5).astype(int),
        probabilities=np.column_stack([1 - score, score]),
    )


@pytest.fixture(scope="module")
def churn(telco):
    """A logistic model of few columns, and one of more, on the second half of the real table."""
    table = pd.read_csv(telco)
    y = (table["churn"] == "Yes").to_numpy().astype(int)
    narrow = table[["monthly_charges"]].to_numpy()
    wide = pd.get_dummies(table[["tenure", "monthly_charges", "contract", "internet_service"]], dtype=float).to_numpy()
    half, models = len(y) // 2, []
    for X in (narrow, wide):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:half], y[:half])
        models.append(binary(y[half:], model.predict_proba(X[half:])[:, 1]))
    return models


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    model = LogisticRegression(C=1e-3, max_iter=1000).fit(X[::2], y[::2])
    p = model.predict_proba(X[1::2])
    return Predictions(
        task="multiclass", labels=("a", "b", "c"), y_true=y[1::2], predicted=p.argmax(axis=1), probabilities=p
    )


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    model = Ridge().fit(X[::2], y[::2])
    return Predictions(task="regression", y_true=y[1::2], predicted=model.predict(X[1::2]))


def test_binary_values_are_those_of_scikit_learn_on_real_customers(churn):
    found = {name: metric.value for name, metric in evaluate(churn[1]).items()}
    y, predicted, score = churn[1].y_true, churn[1].predicted, churn[1].probabilities[:, 1]
    del found["calibration_error"]
    assert found == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(y, score),
            "average_precision": sk.average_precision_score(y, score),
            "accuracy": sk.accuracy_score(y, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
            "precision": sk.precision_score(y, predicted),
            "recall": sk.recall_score(y, predicted),
            "f1": sk.f1_score(y, predicted),
            "log_loss": sk.log_loss(y, churn[1].probabilities),
            "brier_score": sk.brier_score_loss(y, score),
        },
        rel=1e-10,
    )


def test_multiclass_values_are_those_of_scikit_learn(wine):
    y, predicted = wine.y_true, wine.predicted
    assert {name: metric.value for name, metric in evaluate(wine).items()} == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(y, wine.probabilities, multi_class="ovr", average="macro"),
            "accuracy": sk.accuracy_score(y, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
            "precision_macro": sk.precision_score(y, predicted, average="macro", zero_division=0),
            "recall_macro": sk.recall_score(y, predicted, average="macro"),
            "f1_macro": sk.f1_score(y, predicted, average="macro"),
            "log_loss": sk.log_loss(y, wine.probabilities),
        },
        rel=1e-10,
    )


def test_regression_values_are_those_of_scikit_learn(diabetes):
    y, predicted = diabetes.y_true, diabetes.predicted
    assert {name: metric.value for name, metric in evaluate(diabetes).items()} == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(y, predicted),
            "mae": sk.mean_absolute_error(y, predicted),
            "r2": sk.r2_score(y, predicted),
        },
        rel=1e-10,
    )


def test_results_are_plain_json(churn, wine, diabetes):
    for model in (churn[1], wine, diabetes):
        for metric in evaluate(model).values():
            assert json.loads(json.dumps(metric.to_dict(), allow_nan=False)) == metric.to_dict()
        for name in metric_names(model.task):
            found = compare(challenger=model, champion=model, metric=name).to_dict()
            assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others(churn):
    first, again, other = (evaluate(churn[1], metrics=["log_loss"], seed=seed)["log_loss"] for seed in (1, 1, 2))
    assert first == again
    assert (first.lower, first.value) != (other.lower, other.value)


def test_higher_confidence_is_wider(churn):
    for narrow, wide in zip(
        evaluate(churn[1], confidence=0.8).values(), evaluate(churn[1], confidence=0.99).values(), strict=True
    ):
        assert wide.lower < narrow.lower <= narrow.value <= narrow.upper < wide.upper


def test_perfect_models_are_not_certain():
    y = np.repeat([0, 1], 10)
    found = evaluate(binary(y, np.where(y, 1.0, 0.0)))
    for name in ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "precision", "recall", "f1"):
        assert found[name].value == 1.0
        assert found[name].lower < 0.95
    three = np.repeat([0, 1, 2], 8)
    perfect = Predictions(
        task="multiclass", labels=("a", "b", "c"), y_true=three, predicted=three, probabilities=np.eye(3)[three]
    )
    found = evaluate(perfect)
    assert all(found[name].lower < 0.95 for name in ("roc_auc", "f1_macro", "balanced_accuracy", "precision_macro"))


def test_a_model_that_never_says_yes_has_no_known_precision():
    found = evaluate(binary(np.array([0, 0, 1, 1, 1]), np.full(5, 0.1)))
    assert (found["precision"].value, found["precision"].lower, found["precision"].upper) == (0.0, 0.0, 1.0)
    assert found["roc_auc"].value == 0.5


def test_margins_rank_as_probabilities_do(churn):
    score = churn[1].probabilities[:, 1]
    margins = Predictions(
        task="binary",
        labels=churn[1].labels,
        y_true=churn[1].y_true,
        predicted=churn[1].predicted,
        margins=np.log(score / (1 - score)),
    )
    ours, theirs = (evaluate(model, metrics=["roc_auc"])["roc_auc"] for model in (margins, churn[1]))
    assert (ours.value, ours.lower, ours.upper) == pytest.approx((theirs.value, theirs.lower, theirs.upper))
    for name in ("log_loss", "brier_score", "calibration_error"):
        with pytest.raises(InputError, match="no class probabilities"):
            evaluate(margins, metrics=[name])


@pytest.mark.parametrize("metrics", [None, ["roc_auc"], ["recall"]])
def test_one_class_is_an_error_that_counts_the_classes(metrics):
    with pytest.raises(InputError, match=r"'leaves'.*rows by class: {'stays': 5, 'leaves': 0}"):
        evaluate(binary(np.zeros(5, dtype=int), np.linspace(0, 1, 5)), metrics=metrics)


def test_one_row_or_a_constant_target_of_a_regression_is_an_error():
    with pytest.raises(InputError, match=r"r2 .*1 row"):
        evaluate(Predictions(task="regression", y_true=[1.0], predicted=[2.0]), metrics=["r2"])
    with pytest.raises(InputError, match=r"r2 .*the target is 4\.0"):
        evaluate(Predictions(task="regression", y_true=[4.0] * 9, predicted=np.arange(9.0)), metrics=["r2"])


def test_values_too_large_to_square_are_an_error_not_infinity():
    huge = Predictions(task="regression", y_true=[1e200, -1e200, 0.0], predicted=[0.0, 0.0, 0.0])
    with pytest.raises(InputError, match="rmse is not a finite number: inf"):
        evaluate(huge, metrics=["rmse"])
    with pytest.raises(InputError, match="rmse is not a finite number"):
        compare(challenger=huge, champion=huge, metric="rmse")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["auc"]}, "Unknown binary metric 'auc'"),
        ({"metrics": ["rmse"]}, "Unknown binary metric 'rmse'"),
        ({"confidence": 95}, "confidence must be between 0 and 1; got 95"),
        ({"confidence": float("nan")}, "confidence"),
        ({"n_resamples": 10}, "n_resamples must be at least 100"),
    ],
)
def test_bad_settings_are_refused(churn, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(churn[1], **options)


@settings(max_examples=60)
@given(st.data())
def test_whatever_the_data_results_are_finite_ordered_or_refused(data):
    n = data.draw(st.integers(1, 25))
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    levels = st.sampled_from([0.0, 1e-12, 0.3, 0.5, 1.0])
    model, other = (binary(y, np.array(data.draw(st.lists(levels, min_size=n, max_size=n)))) for _ in range(2))
    for name in metric_names("binary"):
        try:
            single = evaluate(model, metrics=[name], n_resamples=100)[name]
            pair = compare(challenger=model, champion=other, metric=name, n_resamples=100)
        except InputError:
            continue
        assert all(math.isfinite(x) for x in (single.value, single.lower, single.upper, pair.difference))
        assert single.lower <= single.upper
        assert pair.lower <= pair.upper


def test_a_comparison_is_signed_so_that_better_is_positive_also_for_losses(churn):
    worse, better = churn
    for name in metric_names("binary"):
        if name == "calibration_error":
            continue
        found = compare(challenger=better, champion=worse, metric=name)
        assert found.difference > 0, name
        assert found.lower <= found.difference <= found.upper
        back = compare(challenger=worse, champion=better, metric=name)
        assert back.difference == pytest.approx(-found.difference)
    found = compare(challenger=better, champion=worse, metric="log_loss")
    assert found.champion > found.challenger
    assert found.lower > 0


def test_a_model_differs_from_itself_by_nothing(churn, wine, diabetes):
    for model in (churn[1], wine, diabetes):
        for name in metric_names(model.task):
            found = compare(challenger=model, champion=model, metric=name)
            assert (found.lower, found.difference, found.upper) == (0.0, 0.0, 0.0)


def test_rounding_never_decides_between_equal_models(diabetes):
    """The same errors with the other sign: equal but for the last bits, which must not look like an improvement."""
    mirrored = Predictions(
        task="regression", y_true=diabetes.y_true, predicted=2 * diabetes.y_true - diabetes.predicted
    )
    assert not np.array_equal(abs(mirrored.predicted - mirrored.y_true), abs(diabetes.predicted - diabetes.y_true))
    for name in metric_names("regression"):
        found = compare(challenger=mirrored, champion=diabetes, metric=name)
        assert (found.lower, found.difference, found.upper) == (0.0, 0.0, 0.0)


def test_the_mean_difference_agrees_with_scipys_paired_interval(diabetes):
    rng = np.random.default_rng(0)
    other = Predictions(
        task="regression", y_true=diabetes.y_true, predicted=diabetes.predicted + rng.normal(0, 30, diabetes.n_rows)
    )
    found = compare(challenger=diabetes, champion=other, metric="mae", n_resamples=20_000)
    gaps = abs(other.predicted - other.y_true) - abs(diabetes.predicted - diabetes.y_true)
    scipy = stats.bootstrap((gaps,), np.mean, method="BCa", n_resamples=20_000, rng=rng).confidence_interval
    assert (found.lower, found.upper) == pytest.approx((scipy.low, scipy.high), abs=0.03 * (scipy.high - scipy.low))


def test_few_rows_that_all_agree_are_not_certain():
    y = np.repeat([0, 1], 3)
    perfect, blind = binary(y, np.where(y, 0.9, 0.1)), binary(y, np.full(6, 0.5))
    for name in ("roc_auc", "accuracy", "average_precision"):
        found = compare(challenger=perfect, champion=blind, metric=name)
        assert found.lower < found.difference
        assert found.upper - found.lower > 0.2


@pytest.mark.parametrize(
    ("champion", "message"),
    [
        (lambda p: binary(p.y_true[:-1], p.probabilities[:-1, 1]), "n_rows is 3522 for the challenger and 3521"),
        (lambda p: binary(1 - p.y_true, p.probabilities[:, 1]), "y_true differs first at row 0"),
        (
            lambda p: Predictions(task="binary", labels=("no", "yes"), y_true=p.y_true, predicted=p.predicted),
            "labels is .*'stays'.* for the challenger and .*'no'",
        ),
        (lambda p: Predictions(task="regression", y_true=p.y_true, predicted=p.predicted), "task is 'binary'"),
    ],
)
def test_other_rows_cannot_be_compared(churn, champion, message):
    with pytest.raises(InputError, match=message):
        compare(challenger=churn[1], champion=champion(churn[1]), metric="accuracy")


def test_more_rows_than_blocks_give_the_interval_of_the_plain_formula():
    rng = np.random.default_rng(0)
    y = rng.normal(size=60_000)
    model = Predictions(task="regression", y_true=y, predicted=y + rng.laplace(size=60_000))
    found = evaluate(model, metrics=["mae"], n_resamples=4000)["mae"]
    errors = abs(model.predicted - y)
    half = 1.96 * errors.std() / np.sqrt(len(y))
    assert (found.upper - found.lower) / 2 == pytest.approx(half, rel=0.06)
