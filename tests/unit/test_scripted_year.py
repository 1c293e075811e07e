"""The scripted year holds what it says, or what is concluded from it is worth nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.scripted_year import BEFORE, HARMLESS, MONTHS, OUTAGE, SHIFT, SLOW, Month, scripted_year
from scripts.simulate import window


@pytest.fixture(scope="module")
def customers(telco: Path) -> pd.DataFrame:
    return pd.read_csv(telco)


@pytest.fixture(scope="module")
def year(customers: pd.DataFrame) -> list[Month]:
    return scripted_year(customers, rng=np.random.default_rng(0))


def test_every_row_is_a_real_customer_and_none_lives_in_two_months(year: list[Month], customers: pd.DataFrame) -> None:
    places = [set(month.rows.index) for month in year]
    assert len(set().union(*places)) == sum(map(len, places))
    for month in year:
        pd.testing.assert_frame_equal(month.rows, customers.loc[month.rows.index])


def test_months_follow_the_script(year: list[Month]) -> None:
    assert [month.number for month in year] == list(range(MONTHS + 1))
    assert len(year[0].rows) == BEFORE
    said = {month.number: month.happens for month in year}
    assert (said[HARMLESS], said[SHIFT], said[OUTAGE]) == ("drift that does not hurt", "sudden shift", "no labels")
    assert {said[number] for number in SLOW} == {"slow drift"}
    assert [month.number for month in year if not month.labelled] == [OUTAGE]


def leaving(month: Month, column: str, value: object) -> float:
    rows = month.rows[month.rows[column] == value]
    return float((rows["churn"] == "Yes").mean())


def test_before_the_shift_fibre_drives_customers_away_and_after_it_dsl_does(year: list[Month]) -> None:
    for month in year[1:SHIFT]:
        assert leaving(month, "internet_service", "Fiber optic") > leaving(month, "internet_service", "DSL")
    for month in year[SHIFT:]:
        assert leaving(month, "internet_service", "Fiber optic") < leaving(month, "internet_service", "DSL")


def test_the_harmless_month_has_other_customers_who_leave_as_before(year: list[Month]) -> None:
    protected = [float((month.rows["device_protection"] == "Yes").mean()) for month in year]
    assert protected[HARMLESS] > 1.5 * protected[HARMLESS - 1]
    before = leaving(year[0], "device_protection", "Yes")
    assert leaving(year[HARMLESS], "device_protection", "Yes") == pytest.approx(before, abs=0.07)


def test_windows_follow_each_other_and_labels_of_the_outage_never_come(year: list[Month]) -> None:
    windows = [window(month) for month in year[1:]]
    assert all(one.end == other.start for one, other in itertools.pairwise(windows))
    assert [number for number, one in enumerate(windows, start=1) if one.labels_known_at is None] == [OUTAGE]
