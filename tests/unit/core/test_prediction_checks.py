from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.prediction_checks import check_predictions
from airflow_mlops_provider.core.prediction_policy import PredictionPolicy, PredictionReport
from airflow_mlops_provider.core.profile_pairs import merge
from airflow_mlops_provider.core.profiler import profile_table

LABELS = ("no", "yes")


def scores(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.beta(1.2, 3.0, rows)


def table(probability: np.ndarray, prediction: object = None) -> pa.Table:
    said = np.where(probability > 0.5, "yes", "no").tolist() if prediction is None else prediction
    return pa.table({"prediction": pa.array(said, pa.string()), "probability": probability})


HELDOUT = profile_table(table(scores(np.random.default_rng(0), 1_400)))


def check(rows: pa.Table, **settings: object) -> PredictionReport:
    current = profile_table(rows, grids=HELDOUT.grids)
    return check_predictions(HELDOUT, current, labels=LABELS, policy=PredictionPolicy(**settings))


def found(report: PredictionReport) -> set[tuple[str, str]]:
    return {(one.column, one.check) for one in report.findings}


@pytest.mark.parametrize("size", [1, 50, 100, 1_000, 50_000])
def test_predictions_like_the_held_out_ones_are_sound_at_any_size(size: int) -> None:
    rng = np.random.default_rng(size)
    reports = [check(table(scores(rng, size))) for _ in range(10)]
    assert {one.verdict for one in reports} == ({"sound"} if size >= 100 else {"insufficient_data"})
    assert all(one.findings == () for one in reports)


def test_one_missing_probability_is_one_too_many() -> None:
    probability = scores(np.random.default_rng(1), 500)
    probability[7] = np.nan
    report = check(table(probability))
    assert report.verdict == "suspicious"
    assert found(report) == {("probability", "missing")}


def test_a_missing_class_is_found() -> None:
    report = check(table(scores(np.random.default_rng(1), 500), [None, *["no"] * 380, *["yes"] * 119]))
    assert ("prediction", "missing") in found(report)


def test_one_output_for_all_rows_is_found_in_few_rows_already() -> None:
    report = check(table(np.full(20, 0.3)))
    assert ("probability", "constant") in found(report)
    assert ("prediction", "constant") not in found(report)


@pytest.mark.parametrize("value", [-0.01, 1.01])
def test_what_is_no_probability_is_found(value: float) -> None:
    probability = scores(np.random.default_rng(1), 500)
    probability[3] = value
    assert ("probability", "out_of_range") in found(check(table(probability)))


def test_a_class_the_model_does_not_know_is_found_and_named() -> None:
    report = check(table(scores(np.random.default_rng(1), 200), ["maybe", *["no"] * 170, *["yes"] * 29]))
    assert ("prediction", "unknown_class") in found(report)
    assert "maybe" in report.reasons[0]


def test_a_known_class_that_was_never_predicted_before_is_no_unknown_one() -> None:
    heldout = profile_table(pa.table({"prediction": ["a", "b"] * 100}))
    current = profile_table(pa.table({"prediction": ["a", "b"] * 99 + ["c", "a"]}), grids=heldout.grids)
    assert check_predictions(heldout, current, labels=("a", "b", "c")).verdict == "sound"


@pytest.mark.parametrize(
    ("heldout", "now", "labels"),
    [
        (["no"] * 1500, ["yes"] * 1000, ("no", "yes")),
        (["a"] * 900 + ["b"] * 600, ["a"] * 300 + ["b"] * 200 + ["c"] * 500, ("a", "b", "c")),
        (["a"] * 900 + ["b"] * 600, ["c"] * 1000, ("a", "b", "c")),
        (["a"] * 900 + ["b"] * 600, ["c"] * 30, ()),
    ],
)
def test_many_predictions_of_a_class_that_no_held_out_row_got_are_found(
    heldout: list[str], now: list[str], labels: tuple[str, ...]
) -> None:
    before = profile_table(pa.table({"prediction": heldout}))
    current = profile_table(pa.table({"prediction": now}), grids=before.grids)
    report = check_predictions(before, current, labels=labels)
    assert report.verdict == "suspicious"
    assert ("prediction", "shift") in found(report)
    assert (("prediction", "constant") in found(report)) == (now == ["c"] * len(now))


def test_rows_of_a_part_without_the_column_are_missing_predictions() -> None:
    whole = profile_table(table(scores(np.random.default_rng(1), 500)), grids=HELDOUT.grids)
    part = profile_table(table(scores(np.random.default_rng(2), 500)).drop_columns("probability"), grids=HELDOUT.grids)
    report = check_predictions(HELDOUT, merge([whole, part]), labels=LABELS)
    assert ("probability", "missing") in found(report)
    assert "500 of 1000" in report.reasons[0]


def test_shifted_scores_and_class_shares_are_found() -> None:
    report = check(table(np.minimum(scores(np.random.default_rng(1), 500) + 0.3, 1.0)))
    assert {("probability", "shift"), ("prediction", "shift")} <= found(report)


def test_scores_that_became_certain_are_found() -> None:
    probability = scores(np.random.default_rng(1), 500)
    report = check(table(np.where(np.arange(500) % 4 == 0, (probability > 0.5).astype(float), probability)))
    assert ("probability", "extreme") in found(report)


def test_a_regression_beyond_all_it_said_before_is_found() -> None:
    rng = np.random.default_rng(2)
    heldout = profile_table(pa.table({"prediction": rng.normal(100, 10, 800)}))
    wild = rng.normal(100, 10, 300)
    wild[::5] *= 50
    current = profile_table(pa.table({"prediction": wild}), grids=heldout.grids)
    report = check_predictions(heldout, current)
    assert ("prediction", "extreme") in found(report)
    calm = profile_table(pa.table({"prediction": rng.normal(100, 10, 300)}), grids=heldout.grids)
    assert check_predictions(heldout, calm).verdict == "sound"


def test_predictions_without_rows_or_columns_are_refused() -> None:
    with pytest.raises(InputError, match="no predictions"):
        check(table(np.array([])))
    with pytest.raises(InputError, match="lack the columns"):
        check(pa.table({"prediction": ["no"]}))
