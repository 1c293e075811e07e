"""Evidently's default rule on cells; its verdicts on whole data sets are compared in test_decide_drift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.evidently_rule import judge


def categories(reference, current):
    names = tuple(f"c{i}" for i in range(len(reference)))
    return CellCounts(reference=np.array(reference), current=np.array(current), labels=names)


def lattice(reference, current, *, std=1.0):
    values = np.arange(len(reference), dtype=float)
    return CellCounts(
        reference=np.array(reference), current=np.array(current), lower=values, upper=values, reference_std=std
    )


def test_up_to_a_thousand_reference_values_categories_are_tested_against_its_shares():
    found = judge(categories([500, 300, 200], [40, 40, 20]), unseen=0)
    expected = stats.chisquare([40, 40, 20], [50, 30, 20]).pvalue
    assert found.p_value == pytest.approx(expected)
    assert found.drift == (expected < 0.05)


def test_an_unseen_category_is_drift_by_its_chi_square():
    assert judge(categories([500, 300, 200], [50, 30, 20]), unseen=1).p_value == 0.0


def test_two_values_get_its_z_test():
    found = judge(categories([700, 300], [60, 40]), unseen=0)
    pooled = 760 / 1100
    z = (0.7 - 0.6) / np.sqrt(pooled * (1 - pooled) * (1 / 1000 + 1 / 100))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(z))


def test_one_and_the_same_value_is_no_drift():
    assert judge(categories([1000], [10]), unseen=0).p_value == 1.0


def test_up_to_a_thousand_reference_values_many_numbers_get_kolmogorov_smirnov():
    reference, current = [100] * 8, [30, 20, 20, 20, 20, 20, 20, 10]
    found = judge(lattice(reference, current), unseen=0)
    values = np.arange(8)
    assert found.p_value == pytest.approx(
        stats.ks_2samp(np.repeat(values, reference), np.repeat(values, current)).pvalue
    )
    assert found.method == "kolmogorov_smirnov"


def test_above_it_categories_are_compared_by_its_distance_in_nats():
    p, q = np.array([0.6, 0.4]), np.array([0.5, 0.5])
    found = judge(categories([1200, 800], [500, 500]), unseen=0)
    nats = jensenshannon(p, q)
    assert found.effect.value / found.threshold == pytest.approx(nats / 0.1)
    assert found.drift == (nats >= 0.1)


def test_above_it_many_numbers_are_compared_by_normed_wasserstein_distance():
    reference, current = [300] * 8, [10] * 4 + [20] * 4
    found = judge(lattice(reference, current, std=2.0), unseen=0)
    values = np.arange(8)
    expected = stats.wasserstein_distance(values, values, reference, current) / 2.0
    assert (found.method, found.effect.value) == ("wasserstein", pytest.approx(expected))


def test_a_reference_without_spread_is_normed_by_a_thousandth():
    found = judge(lattice([2000, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], std=None), unseen=0)
    assert found.effect.value == pytest.approx(2.5 / 0.001)


def test_few_numbers_are_categories_and_one_more_value_makes_them_numbers():
    assert judge(lattice([600] * 5, [20] * 5), unseen=0).method == "jensen_shannon"
    assert judge(lattice([600] * 6, [20] * 6), unseen=0).method == "wasserstein"
