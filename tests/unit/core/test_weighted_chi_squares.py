"""The tail of weighted sums of chi-squares, against closed forms, tables and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from airflow_mlops_provider.core.weighted_chi_squares import tail_of_weighted_chi_squares


@pytest.mark.parametrize("value", [1e-3, 0.3, 2.0, 20.0, 200.0])
def test_one_weight_is_a_scaled_chi_square(value):
    expected = stats.chi2.sf(value / 0.7, 1)
    assert tail_of_weighted_chi_squares(value, np.array([0.7])) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("value", [0.1, 2.0, 20.0, 200.0])
def test_two_equal_weights_are_exponential(value):
    assert tail_of_weighted_chi_squares(value, np.array([0.5, 0.5])) == pytest.approx(np.exp(-value), rel=1e-9)


@pytest.mark.parametrize(("value", "level"), [(1.933, 0.10), (2.492, 0.05), (3.070, 0.025), (3.857, 0.01)])
def test_weights_of_anderson_and_darling_give_their_table(value, level):
    # M. A. Stephens, EDF statistics for goodness of fit, JASA 69 (1974) 730-737, table 1A, rounded to the third digit.
    i = np.arange(1, 401)
    assert tail_of_weighted_chi_squares(value, 1 / (i * (i + 1.0))) == pytest.approx(level, rel=0.03)


def test_the_far_tail_follows_its_leading_term():
    # sqrt(3) P(chi2_1 > 2 z): the product over i >= 2 of (1 - 2 / (i (i + 1)))^(-1/2) is sqrt(3).
    i = np.arange(1, 401)
    for z in (15.0, 40.0):
        expected = np.sqrt(3) * stats.chi2.sf(2 * z, 1)
        assert tail_of_weighted_chi_squares(z, 1 / (i * (i + 1.0))) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 21])
def test_any_weights_agree_with_simulation(size):
    rng = np.random.default_rng(size)
    weights = np.sort(rng.random(size))[::-1]
    drawn = rng.chisquare(1, (200_000, size)) @ weights
    for value in np.quantile(drawn, [0.05, 0.5, 0.9, 0.99]):
        expected = (drawn > value).mean()
        error = 5 * np.sqrt(expected * (1 - expected) / len(drawn))
        assert tail_of_weighted_chi_squares(value, weights) == pytest.approx(expected, abs=error)


def test_nothing_is_exceeded_surely():
    assert tail_of_weighted_chi_squares(0.0, np.array([0.5])) == 1.0
