from __future__ import annotations

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.reports.figures import importance_figure, prediction_figures

RNG = np.random.default_rng(0)


def binary(n: int = 200, *, labels: tuple[str, str] = ("no", "yes"), truth: object = None, **output) -> Predictions:
    y_true = RNG.integers(0, 2, n) if truth is None else np.full(n, truth)
    scores = np.clip(y_true * 0.3 + RNG.uniform(0, 0.7, n), 0, 1)
    given = output or {"probabilities": np.column_stack([1 - scores, scores])}
    return Predictions(task="binary", labels=labels, y_true=y_true, predicted=(scores > 0.5).astype(int), **given)


def multiclass(classes: int, n: int = 300) -> Predictions:
    y_true = RNG.integers(0, classes, n)
    probabilities = RNG.dirichlet(np.ones(classes), n)
    labels = tuple(f"class {number}" for number in range(classes))
    return Predictions(
        task="multiclass", labels=labels, y_true=y_true, predicted=probabilities.argmax(1), probabilities=probabilities
    )


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_probabilities_give_every_picture_and_each_is_well_formed() -> None:
    figures = prediction_figures(binary())
    assert set(figures) == {"confusion.svg", "calibration.svg", "roc.svg", "precision_recall.svg"}
    for svg in figures.values():
        assert texts(svg)


def test_decision_values_give_no_calibration_and_bare_classes_only_the_confusion() -> None:
    assert set(prediction_figures(binary(margins=RNG.normal(size=200)))) == {
        "confusion.svg",
        "roc.svg",
        "precision_recall.svg",
    }
    y = RNG.integers(0, 2, 50)
    bare = Predictions(task="binary", labels=("a", "b"), y_true=y, predicted=y)
    assert set(prediction_figures(bare)) == {"confusion.svg"}


@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("n", [1, 40])
def test_rows_of_one_class_are_drawn_without_what_is_undefined(truth: int, n: int) -> None:
    assert set(prediction_figures(binary(n, truth=truth))) == {"confusion.svg", "calibration.svg"}


@pytest.mark.parametrize("n", [1, 2, 5, 300])
def test_several_classes_have_one_curve_each_where_both_sides_have_rows(n: int) -> None:
    figures = prediction_figures(multiclass(4, n))
    assert set(figures) == {"confusion.svg", "roc.svg"}
    curves = [text for text in texts(figures["roc.svg"]) if text.startswith("class ")]
    assert len(curves) == (4 if n == 300 else len(curves))


def test_many_classes_show_the_most_frequent_and_say_so() -> None:
    figures = prediction_figures(multiclass(60, 600))
    assert "Confusion of the 25 most frequent classes" in texts(figures["confusion.svg"])
    assert sum(text.startswith("class ") for text in texts(figures["roc.svg"])) == 10


@pytest.mark.parametrize("n", [1, 3000])
def test_residuals_are_drawn_for_few_and_for_many_rows(n: int) -> None:
    y = RNG.normal(size=n)
    figures = prediction_figures(Predictions(task="regression", y_true=y, predicted=y + 1))
    assert set(figures) == {"residuals.svg"}
    assert len(figures["residuals.svg"]) < 1_000_000


@pytest.mark.parametrize(
    "name",
    [
        "price $",
        r"$\frac{1}{0$",
        "a^b_c",
        "<script>alert(1)</script>",
        "naïve – 数",
        "tab\tand\nline",
        "\x00\x1b[31m",
        "x" * 500,
        "",
    ],
)
def test_names_are_drawn_as_they_are_whatever_they_look_like(name: str) -> None:
    svg = importance_figure({name: (0.5, 0.1), "other": (0.1, 0.0)}, metric="roc_auc")
    drawn = texts(svg)
    assert "<script>" not in svg
    if name.isprintable() and 0 < len(name) <= 30:
        assert name in drawn
    labels = prediction_figures(binary(labels=(name or "-", "other class")))["confusion.svg"]
    assert texts(labels)


def test_the_greatest_importances_are_shown() -> None:
    drawn = texts(importance_figure({f"column {i}": (1 / (i + 1), 0.0) for i in range(50)}, metric="rmse"))
    assert "column 0" in drawn
    assert "column 19" in drawn
    assert "column 20" not in drawn
    assert "loss in rmse when the column is shuffled" in drawn


def test_the_same_predictions_give_the_same_bytes() -> None:
    predictions = binary()
    assert prediction_figures(predictions) == prediction_figures(predictions)
