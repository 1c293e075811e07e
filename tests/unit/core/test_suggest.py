from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.core.suggest import SuggestSettings, suggest, upper_share
from airflow_mlops_provider.validation.run import run_on_frame
from airflow_mlops_provider.validation.suites import load_suite


def suggested(frame: pd.DataFrame, **settings: Any) -> list[dict[str, Any]]:
    profile = profile_table(pa.Table.from_pandas(frame, preserve_index=False))
    return suggest(profile, settings=SuggestSettings(**settings) if settings else None)


def broken(suite: list[dict[str, Any]], frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return column and severity of the expectations that do not hold, or that cannot be checked."""
    outcomes = run_on_frame(load_suite(suite), frame)
    return [
        (one["kwargs"]["column"], one["severity"])
        for one, outcome in zip(suite, outcomes, strict=True)
        if not outcome.success
    ]


def of(suite: list[dict[str, Any]], column: str, kind: str) -> list[dict[str, Any]]:
    return [one["kwargs"] for one in suite if one["type"] == kind and one["kwargs"]["column"] == column]


@pytest.fixture(scope="module")
def halves(telco: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = pd.read_csv(telco).sample(frac=1, random_state=0)
    return rows[:5000].reset_index(drop=True), rows[5000:].reset_index(drop=True)


@pytest.fixture(scope="module")
def suite(halves: tuple[pd.DataFrame, pd.DataFrame]) -> list[dict[str, Any]]:
    return suggested(halves[0])


def test_a_suite_holds_on_the_rows_it_came_from_and_on_rows_it_never_saw(
    suite: list[dict[str, Any]], halves: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    assert broken(suite, halves[0]) == []
    assert broken(suite, halves[1]) == []
    for seed in range(3):
        assert [one for one in broken(suite, halves[1].sample(200, random_state=seed)) if one[1] == "critical"] == []


CORRUPTIONS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "unit x1000": (lambda frame: frame.assign(monthly_charges=frame["monthly_charges"] * 1000), "monthly_charges"),
    "recoded": (lambda frame: frame.assign(contract=frame["contract"].str.upper()), "contract"),
    "category replaced": (lambda frame: frame.assign(contract=frame["contract"].replace("One year", "1y")), "contract"),
    "nulls flooding": (lambda frame: frame.assign(tenure=frame["tenure"].where(frame.index % 5 > 0)), "tenure"),
    "column dropped": (lambda frame: frame.drop(columns="tenure"), "tenure"),
    "sign flipped": (lambda frame: frame.assign(total_charges=-frame["total_charges"]), "total_charges"),
    "number as text": (lambda frame: frame.assign(tenure=frame["tenure"].astype(str) + " months"), "tenure"),
    "text as number": (lambda frame: frame.assign(contract=frame["contract"].str.len()), "contract"),
    "flag of 1 and 2": (lambda frame: frame.assign(senior_citizen=frame["senior_citizen"] + 1), "senior_citizen"),
    "columns swapped": (
        lambda frame: frame.rename(columns={"tenure": "monthly_charges", "monthly_charges": "tenure"}),
        "tenure",
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_data_break_it_at_the_corrupted_column(
    suite: list[dict[str, Any]], halves: tuple[pd.DataFrame, pd.DataFrame], name: str
) -> None:
    corrupt, column = CORRUPTIONS[name]
    found = broken(suite, corrupt(halves[1]))
    assert column in {one for one, _ in found}
    if name not in {"unit x1000", "columns swapped"}:  # which look possible; ranges and means are warnings
        assert (column, "critical") in found
    else:
        assert (column, "warning") in found


def test_it_is_json_for_people_with_each_expectation_on_one_column(suite: list[dict[str, Any]]) -> None:
    assert json.loads(json.dumps(suite, allow_nan=False)) == suite
    assert {one["severity"] for one in suite} == {"critical", "warning"}
    assert of(suite, "contract", "expect_column_values_to_be_in_set")[0]["value_set"] == [
        "Month-to-month",
        "One year",
        "Two year",
    ]
    assert of(suite, "senior_citizen", "expect_column_values_to_be_in_set")[0]["value_set"] == [0, 1]
    assert of(suite, "total_charges", "expect_column_values_to_be_between")[0] == {
        "column": "total_charges",
        "min_value": 0,
    }


def test_margins_widen_what_is_allowed(halves: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    frame = halves[0]
    narrow = suggested(frame, share_margin=0.0, range_margin=0.0, mean_margin=0.1)
    wide = suggested(frame, share_margin=0.2, range_margin=1.0, mean_margin=2.0)
    low, high = (of(each, "tenure", "expect_column_values_to_not_be_null")[0]["mostly"] for each in (wide, narrow))
    # Of 5,000 rows none is null: the share may be what 5,000 rows can hide, plus the margin.
    assert high == pytest.approx(1 - norm.isf(0.001) ** 2 / (5000 + norm.isf(0.001) ** 2), abs=2e-4)
    assert low == pytest.approx(high - 0.2, abs=2e-4)
    spread = frame["tenure"].std()
    for suite, margin in ((narrow, 0.1), (wide, 2.0)):
        mean = of(suite, "tenure", "expect_column_mean_to_be_between")[0]
        assert (mean["max_value"] - mean["min_value"]) / 2 == pytest.approx(margin * spread, rel=0.01)
    ranges = [of(suite, "monthly_charges", "expect_column_values_to_be_between")[-1] for suite in (narrow, wide)]
    least, most = frame["monthly_charges"].min(), frame["monthly_charges"].max()
    assert (ranges[0]["min_value"], ranges[0]["max_value"]) == (least, most)
    assert (ranges[1]["min_value"], ranges[1]["max_value"]) == (0, pytest.approx(2 * most - least))
    assert broken(narrow, frame) == []


def test_unique_keys_rare_categories_and_empty_columns_are_judged_as_people_would(tmp_path: Path) -> None:
    n = 2000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "town": rng.choice([f"town {i}" for i in range(200)], n),
            "paid": rng.random(n) < 0.5,
            "constant": 7,
            "empty": [None] * n,
            "debt": rng.normal(0, 5, n),
        }
    )
    suite = suggested(frame)
    assert of(suite, "id", "expect_column_proportion_of_unique_values_to_be_between")
    assert not of(suite, "id", "expect_column_values_to_be_in_set")
    assert not of(suite, "town", "expect_column_values_to_be_in_set")  # 200 > max_set_size
    assert of(suite, "paid", "expect_column_values_to_be_in_set")[0]["value_set"] == [False, True]
    assert of(suite, "empty", "expect_column_values_to_not_be_null")[0]["mostly"] == 0
    assert of(suite, "debt", "expect_column_values_to_be_between")[0]["min_value"] < 0  # no sign to hold
    assert broken(suite, frame) == []
    assert ("id", "warning") in broken(suite, frame.assign(id="same"))


def test_columns_can_be_chosen_and_no_rows_suggest_nothing(halves: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    profile = profile_table(pa.Table.from_pandas(halves[0], preserve_index=False))
    assert {one["kwargs"]["column"] for one in suggest(profile, columns=["tenure", "contract"])} == {
        "tenure",
        "contract",
    }
    with pytest.raises(InputError, match="no column 'tenor'"):
        suggest(profile, columns=["tenor"])
    with pytest.raises(InputError, match="0 rows"):
        suggest(profile_table(pa.table({"a": pa.array([], pa.int64())})))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("share_margin", 1.0),
        ("share_margin", -0.1),
        ("range_margin", float("nan")),
        ("mean_margin", True),
        ("max_set_size", 0),
        ("max_set_size", 2.5),
    ],
)
def test_margins_that_make_no_sense_are_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=field):
        SuggestSettings(**{field: value})


@given(st.integers(1, 10_000), st.data())
def test_the_share_allowed_is_the_upper_wilson_bound(rows: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, rows))
    # SciPy's two-sided interval at 99.8 % has 0.1 % on each side; 3.09 is that quantile to three digits.
    expected = binomtest(count, rows).proportion_ci(0.998, method="wilson").high
    assert upper_share(count, rows) == pytest.approx(expected, abs=2e-3 / np.sqrt(rows))
    assert upper_share(count, rows) >= count / rows
