from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.core.skew import check_skew
from airflow_mlops_provider.core.skew_policy import SkewPolicy, SkewReport

Change = Callable[[pd.DataFrame], pd.DataFrame]
ROTATED = {"Month-to-month": "Two year", "Two year": "One year", "One year": "Month-to-month"}


def swapped(first: str, second: str) -> Change:
    return lambda rows: rows.rename(columns={first: second, second: first})


# What reaches a model in practice, and which check of which feature must see it.
CATALOGUE: dict[str, tuple[Change, str, str]] = {
    "column dropped": (lambda rows: rows.drop(columns="tenure"), "tenure", "missing"),
    "column renamed": (lambda rows: rows.rename(columns={"tenure": "Tenure"}), "tenure", "missing"),
    "numbers swapped": (swapped("tenure", "monthly_charges"), "tenure", "range"),
    "numbers of other scales swapped": (swapped("monthly_charges", "total_charges"), "total_charges", "distribution"),
    "texts swapped": (swapped("contract", "payment_method"), "contract", "unseen"),
    "unit x 1000": (
        lambda rows: rows.assign(monthly_charges=rows["monthly_charges"] * 1000),
        "monthly_charges",
        "range",
    ),
    "unit / 1000": (
        lambda rows: rows.assign(total_charges=rows["total_charges"] / 1000),
        "total_charges",
        "distribution",
    ),
    "category in lower case": (lambda rows: rows.assign(contract=rows["contract"].str.lower()), "contract", "unseen"),
    "category as code": (
        lambda rows: rows.assign(contract=rows["contract"].astype("category").cat.codes),
        "contract",
        "type",
    ),
    "categories exchanged": (
        lambda rows: rows.assign(contract=rows["contract"].map(ROTATED)),
        "contract",
        "distribution",
    ),
    "a third null": (
        lambda rows: rows.assign(tenure=rows["tenure"].where(np.arange(len(rows)) % 3 > 0)),
        "tenure",
        "nulls",
    ),
    "all null": (lambda rows: rows.assign(tenure=np.nan), "tenure", "nulls"),
    "dates shifted by a month": (lambda rows: rows.assign(tenure=rows["tenure"] + 30), "tenure", "range"),
    "dates shifted by a year": (lambda rows: rows.assign(tenure=rows["tenure"] + 365), "tenure", "range"),
    "one value repeated": (lambda rows: rows.assign(tenure=12), "tenure", "constant"),
    "text repeated": (lambda rows: rows.assign(contract="One year"), "contract", "constant"),
    "infinite": (lambda rows: rows.assign(total_charges=np.inf), "total_charges", "infinite"),
}
WINDOWS = 20


@pytest.fixture(scope="module")
def customers(telco: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows for training, and rows for serving."""
    rows = pd.read_csv(telco).drop(columns="churn")
    training = rows.sample(5_000, random_state=0)
    return training, rows.drop(training.index)


@pytest.fixture(scope="module")
def training(customers: tuple[pd.DataFrame, pd.DataFrame]) -> DatasetProfile:
    return profile_table(pa.Table.from_pandas(customers[0], preserve_index=False))


def check(training: DatasetProfile, rows: pd.DataFrame, **settings: object) -> SkewReport:
    serving = profile_table(pa.Table.from_pandas(rows, preserve_index=False), grids=training.grids)
    features = list(training.names)
    return check_skew(training, serving, features=features, policy=SkewPolicy(**settings), order=list(rows))


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_corruption_is_caught_by_the_check_that_should_in_every_window(
    customers: tuple[pd.DataFrame, pd.DataFrame], training: DatasetProfile, name: str
) -> None:
    change, feature, wanted = CATALOGUE[name]
    for seed in range(WINDOWS):
        report = check(training, change(customers[1].sample(300, random_state=seed)))
        assert report.verdict == "skew"
        assert feature in report.found(wanted)


@pytest.mark.parametrize("size", [1, 20, 100, 300, 2_000])
def test_clean_windows_of_any_size_raise_no_alarm(
    customers: tuple[pd.DataFrame, pd.DataFrame], training: DatasetProfile, size: int
) -> None:
    verdicts = {check(training, customers[1].sample(size, random_state=seed)).verdict for seed in range(WINDOWS)}
    assert verdicts == ({"insufficient_data"} if size < 100 else {"no_skew"})


def test_a_small_training_sample_does_not_make_new_extremes_skew() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        profile = profile_table(pa.table({"x": rng.standard_cauchy(60)}))
        serving = profile_table(pa.table({"x": rng.standard_cauchy(400)}), grids=profile.grids)
        alarms += check_skew(profile, serving, features=["x"]).verdict == "skew"
    assert alarms <= 1


def test_the_order_of_columns_is_told_and_changes_nothing(
    customers: tuple[pd.DataFrame, pd.DataFrame], training: DatasetProfile
) -> None:
    rows = customers[1].sample(300, random_state=0)
    ours = profile_table(pa.Table.from_pandas(rows, preserve_index=False), grids=training.grids)
    straight = check_skew(training, ours, features=list(rows), order=list(rows))
    turned = check_skew(training, ours, features=list(rows), order=[*rows][::-1])
    assert (straight.same_order, turned.same_order) == (True, False)
    assert straight.verdict == turned.verdict == "no_skew"


def test_a_column_the_model_does_not_know_is_a_warning_unless_it_is_expected(
    customers: tuple[pd.DataFrame, pd.DataFrame], training: DatasetProfile
) -> None:
    rows = customers[1].sample(300, random_state=0).assign(customer=1)
    serving = profile_table(pa.Table.from_pandas(rows, preserve_index=False), grids=training.grids)
    assert check_skew(training, serving, features=list(training.names)).found("extra") == ("customer",)
    known = check_skew(training, serving, features=list(training.names), known_columns=["customer"])
    assert known.findings == ()


def test_a_constant_of_training_is_no_division_by_zero() -> None:
    profile = profile_table(pa.table({"x": [5.0] * 500, "y": [0.0] * 490 + [1.0] * 10}))
    same = profile_table(pa.table({"x": [5.0] * 200, "y": [0.0] * 196 + [1.0] * 4}), grids=profile.grids)
    other = profile_table(pa.table({"x": [6.0] * 200, "y": [1.0] * 200}), grids=profile.grids)
    assert check_skew(profile, same, features=["x", "y"]).findings == ()
    report = check_skew(profile, other, features=["x", "y"])
    assert report.found("range") == ("x",)
    assert "y" in report.found("constant")
    assert set(report.found("outliers")) == {"x", "y"}


def test_nan_is_missing_and_not_a_comparison_that_is_false() -> None:
    profile = profile_table(pa.table({"x": np.linspace(0, 1, 500)}))
    serving = profile_table(pa.table({"x": [np.nan] * 100 + [0.5] * 100}), grids=profile.grids)
    assert check_skew(profile, serving, features=["x"]).found("nulls") == ("x",)


def test_outliers_are_judged_against_those_of_training_itself() -> None:
    rng = np.random.default_rng(1)
    heavy = profile_table(pa.table({"x": rng.standard_t(1.5, 4_000)}))
    again = profile_table(pa.table({"x": rng.standard_t(1.5, 1_000)}), grids=heavy.grids)
    wilder = profile_table(pa.table({"x": rng.standard_t(1.5, 1_000) * 6}), grids=heavy.grids)
    assert check_skew(heavy, again, features=["x"]).findings == ()
    assert check_skew(heavy, wilder, features=["x"]).found("outliers") == ("x",)


def test_some_features_may_be_skewed_where_the_policy_allows_it_but_none_may_be_missing(
    customers: tuple[pd.DataFrame, pd.DataFrame], training: DatasetProfile
) -> None:
    rows = customers[1].sample(300, random_state=0)
    allowed = {"allowed_feature_share": 0.1}
    assert check(training, rows.assign(tenure=12), **allowed).verdict == "no_skew"
    assert check(training, rows.assign(tenure=12)).verdict == "skew"
    assert check(training, rows.drop(columns="tenure"), **allowed).verdict == "skew"


def test_no_rows_are_refused(training: DatasetProfile, customers: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    with pytest.raises(InputError, match="no serving rows"):
        check(training, customers[1].head(0))


def test_a_policy_with_impossible_numbers_is_refused() -> None:
    for wrong in ({"alpha": 0}, {"unseen_share": 2}, {"distribution_warning": 0.9}, {"ignore_features": "x"}):
        with pytest.raises(InputError):
            SkewPolicy(**wrong)


def serve(before: dict[str, object], now: dict[str, object]) -> SkewReport:
    profile = profile_table(pa.table(before))
    return check_skew(profile, profile_table(pa.table(now), grids=profile.grids), features=list(before))


CATEGORIES = {"c": ["a", "b"] * 1_000}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["Z"] * 95 + ["a"] * 4 + [None] * 5, "unseen"),
        (["Z"] * 60, "unseen"),
        (["Z", "Y", "a"] * 8, "unseen"),
        ([None] * 40 + ["a", "b"] * 10, "nulls"),
    ],
)
def test_fewer_values_than_shares_need_are_enough_to_show_a_change(values: list[str | None], wanted: str) -> None:
    report = serve(CATEGORIES, {"c": values})
    assert report.verdict == "skew"
    assert report.found(wanted) == ("c",)


def test_a_sparse_feature_of_a_large_window_is_judged_by_the_values_it_has() -> None:
    training = {"promo": ["a"] * 100 + ["b"] * 100 + [None] * 9_800}
    report = serve(training, {"promo": ["Z"] * 48 + ["Y"] * 47 + [None] * 4_905})
    assert report.found("unseen") == ("promo",)


def test_a_feature_with_too_few_values_is_named_in_a_warning() -> None:
    report = serve(
        {"c": ["a", "b", None, None] * 500, "x": ["u", "v"] * 1_000},
        {"c": ["a", "b", None, None] * 40, "x": ["u", "v"] * 80},
    )
    assert [(one.feature, one.check, one.severity) for one in report.findings] == [("c", "unjudged", "warning")]
    assert "80 current values against 1000, 100 needed" in report.findings[0].message
    assert report.verdict == "no_skew"


def test_texts_that_are_nearly_all_different_are_found_when_they_are_few_and_else_named_as_not_judged() -> None:
    rng = np.random.default_rng(0)
    training = {"zip": [f"{one:05d}" for one in rng.integers(0, 20_000, 6_000)]}
    alike = serve(training, {"zip": ["99999"] * 2_000})
    assert "zip" in alike.found("constant")
    few = serve(training, {"zip": [f"Z{one}" for one in rng.integers(0, 40, 2_000)]})
    assert few.found("distribution") == ("zip",)
    for letter in ("", "Z"):
        other = serve(training, {"zip": [f"{letter}{one:05d}" for one in rng.integers(0, 20_000, 2_000)]})
        assert other.verdict == "no_skew"
        assert other.found("unjudged") == ("zip",)
        assert "nearly all different" in other.findings[0].message


@pytest.mark.parametrize("size", [1, 2, 5, 30, 90])
def test_small_windows_with_rare_categories_and_nulls_raise_no_alarm(size: int) -> None:
    rng = np.random.default_rng(size)
    shares = 1 / np.arange(1, 301)

    def rows(n: int) -> pa.Table:
        texts = rng.choice(300, size=n, p=shares / shares.sum())
        return pa.table({"c": [None if rng.random() < 0.3 else f"c{one}" for one in texts], "x": rng.standard_t(2, n)})

    alarms = 0
    for _ in range(6):
        profile = profile_table(rows(1_000))
        for _ in range(25):
            serving = profile_table(rows(size), grids=profile.grids)
            alarms += check_skew(profile, serving, features=["c", "x"]).verdict == "skew"
    assert alarms <= 2
