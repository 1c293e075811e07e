"""Closed-form intervals against independent implementations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from airflow_mlops_provider.core import intervals

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "intervals.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["wilson"])
def test_wilson_equals_statsmodels(case):
    found = intervals.wilson(case["successes"], case["trials"], confidence=case["confidence"])
    assert found == pytest.approx((case["lower"], case["upper"]), abs=1e-12)


def test_no_trials_say_nothing():
    assert intervals.wilson(0, 0, confidence=0.95) == (0.0, 1.0)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_stays_between_0_and_1(successes, failures, confidence):
    lower, upper = intervals.wilson(successes, successes + failures, confidence=confidence)
    share = successes / max(successes + failures, 1)
    assert 0 <= lower <= share + 1e-12
    assert share - 1e-12 <= upper <= 1


@pytest.mark.parametrize("case", GOLDEN["balanced"])
def test_mean_of_two_proportions_equals_statsmodels(case):
    hits, true = np.array(case["hits"], dtype=float), np.array(case["true"], dtype=float)
    found = intervals.mean_of_proportions(hits, true, confidence=0.95)
    assert found == pytest.approx((case["lower"], case["upper"]), abs=1e-12)


def test_f1_bounds_are_wilsons_bounds_of_the_jaccard_index():
    bounds = stats.binomtest(40, 65).proportion_ci(0.95, method="wilson")
    expected = [2 * bound / (1 + bound) for bound in (bounds.low, bounds.high)]
    assert intervals.f1_from_counts(40, 65, confidence=0.95) == pytest.approx(expected, abs=1e-12)


def test_logit_interval_is_symmetric_on_the_logit_scale():
    lower, upper = intervals.logit_normal(0.9, 0.03**2, confidence=0.95)
    half = stats.norm.ppf(0.975) * 0.03 / (0.9 * 0.1)
    assert (lower, upper) == pytest.approx(tuple(stats.logistic.cdf(np.log(9) + np.array([-half, half]))), abs=1e-12)


def test_logit_interval_survives_a_huge_spread():
    lower, upper = intervals.logit_normal(1 - 1e-12, 1.0, confidence=0.95)
    assert 0 <= lower < upper <= 1


@pytest.mark.parametrize(("area", "m", "n"), [(1.0, 10, 20), (0.0, 10, 20), (0.5, 7, 9), (0.93, 40, 300), (1.0, 2, 2)])
def test_roc_score_interval_solves_newcombes_quartic(area, m, n):
    """Method 5 with the denominators multiplied out: a polynomial whose roots NumPy finds."""
    poly = np.polynomial.Polynomial
    t, one = poly([0, 1]), poly([1])
    z2, w = stats.norm.ppf(0.975) ** 2, (m + n) / 2 - 1
    spread = t * (one - t) * ((2 - t) * (1 + t) + w * (1 - t) * (1 + t) + w * t * (2 - t))
    roots = (spread * z2 - (t - area) ** 2 * (2 - t) * (1 + t) * (m * n)).roots()
    real = sorted(root.real for root in roots if abs(root.imag) < 1e-9 and -1e-9 <= root.real <= 1 + 1e-9)
    found = intervals.roc_area_score(area, m, n, confidence=0.95)
    assert found == pytest.approx((real[0], real[-1]), abs=1e-7)
    assert found[0] < found[1]
