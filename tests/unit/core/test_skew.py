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
