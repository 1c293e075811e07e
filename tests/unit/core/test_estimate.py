from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate import calibrated, estimate
from airflow_mlops_provider.core.expected import Cells, Scored, metrics_of
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.predictions import Predictions

FOLDER = Path(__file__).resolve().parents[2] / "golden"
GOLDEN = json.loads((FOLDER / "estimate.json").read_text())
LABELS = ("no", "yes")


def two(scores) -> np.ndarray:
    return np.column_stack([1 - np.asarray(scores), scores])


def labelled(scores, truth, *, threshold: float = 0.5) -> Predictions:
    predicted = (np.asarray(scores) > threshold).astype(int)
    return Predictions(
        task="binary",
        labels=LABELS,
        y_true=np.asarray(truth).astype(int),
        predicted=predicted,
        probabilities=two(scores),
    )


def scored(scores, *, threshold: float = 0.5) -> Scored:
    return Scored(labels=LABELS, predicted=(np.asarray(scores) > threshold).astype(int), probabilities=two(scores))


def drawn(rng: np.random.Generator, n: int, *, mean: float = -1.0, slope: float = 1.0, concept: float = 1.0):
    """Scores of a model, and labels whose log-odds are the latent value times `concept`."""
    latent = rng.normal(mean, 1.5, n)
    return expit(slope * latent), rng.random(n) < expit(concept * latent)


def golden_data(name: str):
    if name == "telco":
        return {
            part: (np.array(one["scores"].split(), dtype=float), np.array(list(one["labels"]), dtype=int))
            for part, one in GOLDEN["telco"].items()
        }
    spec = importlib.util.spec_from_file_location("make_estimate", FOLDER / "make_estimate.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return {part: tuple(map(np.array, one)) for part, one in made.synthetic(name).items()}


CASES = [(name, chunk) for name, one in GOLDEN["values"].items() for chunk in one["chunks"]]


@pytest.mark.parametrize(("name", "chunk"), CASES)
def test_formulas_are_nannymls_when_given_its_calibrated_probabilities(name: str, chunk: str) -> None:
    data, golden = golden_data(name), GOLDEN["values"][name]
    scores, _ = data[chunk]
    probabilities = scores
    if golden["calibrates"]:
        theirs = IsotonicRegression(out_of_bounds="clip").fit(*data["reference"])
        probabilities = theirs.predict(scores)
    # Row by row, as the calibrated probability of equal scores is equal.
    cells = Cells.of(scored(scores))
    distinct, position = np.unique(scores, return_index=True)
    shares = two(probabilities[position][np.searchsorted(distinct, cells.scores[:, 1])])
    expected = golden["chunks"][chunk]
    found = metrics_of(cells, rows=cells.rows, shares=shares, names=list(expected), is_certain=False)
    for metric, one in expected.items():
        # NannyML pairs each row with itself and lets a positive row count for its probability alone in its own
        # precision; it rounds counts to five digits.
        tolerance = {"roc_auc": 0.002, "average_precision": 0.015}.get(metric, 1e-6)
        assert found[metric] == pytest.approx(one["value"], abs=tolerance), metric


@pytest.mark.parametrize(("name", "chunk"), CASES)
def test_estimates_agree_with_nannyml_within_what_its_calibration_differs(name: str, chunk: str) -> None:
    data, expected = golden_data(name), GOLDEN["values"][name]["chunks"][chunk]
    found = estimate(labelled(*data["reference"]), scored(data[chunk][0]), n_resamples=100, metrics=list(expected))
    for metric, one in expected.items():
        ours = found[metric]
        assert ours.lower - 0.005 <= one["value"] <= ours.upper + 0.005, metric
        # NannyML takes probabilities as they are where it finds that calibration does not help, so that chance in the
        # calibration is in ours alone; where it calibrates, ours is smoother.
        if metric in ("roc_auc", "accuracy"):
            assert ours.value == pytest.approx(one["value"], abs=0.03), metric


@pytest.mark.parametrize(("name", "chunk"), CASES)
def test_estimates_follow_what_the_labels_gave(name: str, chunk: str) -> None:
    data, expected = golden_data(name), GOLDEN["values"][name]["chunks"][chunk]
    found = estimate(labelled(*data["reference"]), scored(data[chunk][0]), n_resamples=100, metrics=list(expected))
    inside = [found[metric].lower <= one["realized"] <= found[metric].upper for metric, one in expected.items()]
    assert np.mean(inside) >= 0.8, {metric: (found[metric], one["realized"]) for metric, one in expected.items()}


def test_a_shift_of_the_churn_tables_customers_is_seen_in_the_right_direction() -> None:
    data = golden_data("telco")
    known = labelled(*data["reference"])
    new, old = (
        estimate(known, scored(data[chunk][0]), n_resamples=100, metrics=["accuracy"])["accuracy"]
        for chunk in ("new customers", "old customers")
    )
    assert new.difference_upper < 0 < old.difference_lower
    assert known.n_rows == new.n_reference


def test_concept_drift_is_not_seen() -> None:
    """The condition of failure: features as before, but the labels no longer follow them."""
    rng = np.random.default_rng(5)
    known = labelled(*drawn(rng, 3_000))
    scores, truth = drawn(rng, 3_000, concept=0.2)
    found = estimate(known, scored(scores), n_resamples=100, metrics=["roc_auc"])["roc_auc"]
    realised = evaluate(labelled(scores, truth), metrics=["roc_auc"])["roc_auc"]
    assert found.value == pytest.approx(found.reference, abs=0.02)
    assert realised.value < found.lower - 0.1
    assert found.difference_lower < 0 < found.difference_upper


def test_probabilities_that_are_too_sure_are_mended_before_they_are_believed() -> None:
    rng = np.random.default_rng(6)
    known = labelled(*drawn(rng, 4_000, slope=3.0))
    scores, truth = drawn(rng, 4_000, slope=3.0)
    found = estimate(known, scored(scores), n_resamples=100, metrics=["accuracy", "log_loss"])
    naive = float(np.maximum(scores, 1 - scores).mean())
    realised = evaluate(labelled(scores, truth), metrics=["accuracy", "log_loss"])
    assert naive > realised["accuracy"].value + 0.1
    for metric, one in found.items():
        assert one.lower <= realised[metric].value <= one.upper


def test_the_reference_value_is_the_realised_one() -> None:
    rng = np.random.default_rng(7)
    known = labelled(*drawn(rng, 500))
    found = estimate(known, scored(drawn(rng, 300)[0]), n_resamples=100)
    realised = evaluate(known)
    assert {name: one.reference for name, one in found.items()} == pytest.approx(
        {name: realised[name].value for name in found}
    )


def test_errors_and_losses_are_better_when_they_are_less() -> None:
    rng = np.random.default_rng(8)
    known = labelled(*drawn(rng, 3_000))
    one = estimate(known, scored(drawn(rng, 3_000, mean=0.0)[0]), n_resamples=100, metrics=["log_loss"])["log_loss"]
    assert one.value > one.reference
    assert one.difference == pytest.approx(one.reference - one.value)
    assert one.difference_lower < one.difference < one.difference_upper < 0
    assert not one.greater_is_better


def test_several_classes_are_estimated_each_against_the_rest() -> None:
    rng = np.random.default_rng(9)
    labels = ("a", "b", "c")

    def rows(n: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
        latent = rng.normal(0, spread, (n, 3))
        probabilities = np.exp(latent) / np.exp(latent).sum(axis=1, keepdims=True)
        truth = (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        # Too sure, so that they need calibration.
        said = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)
        return said, truth

    said, truth = rows(2_000, 2.0)
    known = Predictions(
        task="multiclass", labels=labels, y_true=truth, predicted=said.argmax(axis=1), probabilities=said
    )
    assert calibrated(known, said).sum(axis=1) == pytest.approx(1.0)
    now, later = rows(2_000, 1.0)
    found = estimate(known, Scored(labels=labels, predicted=now.argmax(axis=1), probabilities=now), n_resamples=100)
    realised = evaluate(
        Predictions(task="multiclass", labels=labels, y_true=later, predicted=now.argmax(axis=1), probabilities=now)
    )
    assert set(found) == set(realised)
    for metric, one in found.items():
        assert one.lower - 0.01 <= realised[metric].value <= one.upper + 0.01, metric
    assert found["accuracy"].difference_upper < 0


def test_the_same_input_and_seed_give_the_same_result() -> None:
    rng = np.random.default_rng(10)
    known, now = labelled(*drawn(rng, 400)), scored(drawn(rng, 300)[0])
    first = estimate(known, now, n_resamples=100, seed=4)
    assert estimate(known, now, n_resamples=100, seed=4) == first
    assert estimate(known, now, n_resamples=100, seed=5) != first


def test_a_metric_that_the_rows_do_not_define_is_left_out() -> None:
    known = labelled(np.repeat([0.1, 0.9], 100), np.repeat([False, True], 100))
    found = estimate(known, scored(np.full(50, 0.1)), n_resamples=100)
    assert "accuracy" in found
    assert not {"roc_auc", "recall", "average_precision"} & set(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["calibration_error"]}, "calibration_error"),
        ({"metrics": ["rmse"]}, "rmse"),
        ({"confidence": 1.0}, "confidence"),
        ({"n_resamples": 99}, "n_resamples"),
        ({"current": Scored(labels=("a", "b"), predicted=[0], probabilities=[[0.7, 0.3]])}, "one model"),
        ({"reference": labelled([0.2, 0.7], [0, 0])}, "none of class 'yes'"),
        (
            {"reference": Predictions(task="binary", labels=LABELS, y_true=[0, 1], predicted=[0, 1])},
            "no class probabilities",
        ),
    ],
)
def test_what_cannot_be_estimated_is_refused(change: dict, message: str) -> None:
    given = {"reference": labelled([0.2, 0.7, 0.4], [0, 1, 1]), "current": scored([0.3])} | change
    with pytest.raises(InputError, match=message):
        estimate(given.pop("reference"), given.pop("current"), **given)
