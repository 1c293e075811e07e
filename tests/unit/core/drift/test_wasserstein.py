"""Wasserstein: values of independent sources, and what the cells certify."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.drift.wasserstein import Wasserstein


def test_it_agrees_with_scipy_and_evidently(drifting, golden):
    for size, name, reference, current in drifting("numeric"):
        found = Wasserstein().exact(reference, current)
        assert found == pytest.approx(golden["scipy"]["values"][size][name]["wasserstein"], rel=1e-9)
        assert found == pytest.approx(golden["evidently"]["values"][size][name]["wasserstein"], rel=1e-9)


def test_times_the_standard_deviation_it_agrees_with_nannyml(samples, golden):
    # NannyML bins; on a lattice its bins hold the values.
    for name in ("few", "two_values", "continuous"):
        reference, current = samples["large"][name]
        expected = golden["nannyml"]["values"]["large"][name]["wasserstein"]
        assert Wasserstein().exact(reference, current) * np.std(reference) == pytest.approx(expected, rel=2e-3)


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        cells = to_cells(reference, current)
        effect = Wasserstein().from_cells(cells)
        exact = Wasserstein().exact(reference, current)
        assert effect.lower - 1e-9 <= exact <= effect.upper + 1e-9, (size, name)


def test_profiles_are_close_to_the_exact_value(samples, golden, to_cells):
    for name in ("continuous", "heavy_tailed", "scaled", "zero_inflated"):
        effect = Wasserstein().from_cells(to_cells(*samples["large"][name]))
        expected = golden["scipy"]["values"]["large"][name]["wasserstein"]
        assert effect.value == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("shift", [0.05, 0.1, 0.3, 2.0])
def test_a_shift_of_all_values_is_its_size_in_standard_deviations(shift):
    reference = np.random.default_rng(0).lognormal(size=500)
    assert Wasserstein().exact(reference, reference + shift * np.std(reference)) == pytest.approx(shift)


def test_values_near_the_end_of_floats_do_not_overflow(to_cells):
    reference, current = np.linspace(0.1, 0.8, 300) * 1e308, np.linspace(-0.8, 0.1, 300) * 1e308
    assert 0 < Wasserstein().exact(reference, current) < 100
    effect = Wasserstein().from_cells(to_cells(reference, current))
    assert effect.value == pytest.approx(Wasserstein().exact(reference, current), rel=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_the_error_of_the_standard_deviation_is_in_the_interval(to_cells, seed):
    # One value at the end of its cell: the bounds of the distance itself are tight above.
    reference, current = np.random.default_rng(seed).normal(size=1500), np.full(50, 1e4)
    exact, effect = Wasserstein().exact(reference, current), Wasserstein().from_cells(to_cells(reference, current))
    assert effect.lower <= exact <= effect.upper


@pytest.mark.parametrize("huge", [1e150, 1e300, 1e308])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_values_that_dwarf_the_reference_are_as_far_as_they_are(to_cells, huge, share):
    reference = np.random.default_rng(0).normal(size=500)
    current = np.where(np.arange(500) < share * 500, huge, reference)
    exact, effect = Wasserstein().exact(reference, current), Wasserstein().from_cells(to_cells(reference, current))
    assert exact == pytest.approx(share * huge / np.std(reference), rel=1e-9)
    assert effect.lower <= exact <= effect.upper * (1 + 1e-9)


@pytest.mark.filterwarnings("error")
def test_a_distance_beyond_all_floats_is_the_largest_one(to_cells):
    reference, current = np.linspace(1.0, 9.0, 300) * 1e-310, np.full(200, 1.0)
    assert Wasserstein().exact(reference, current) == sys.float_info.max
    effect = Wasserstein().from_cells(to_cells(reference, current))
    assert effect.value == effect.upper == sys.float_info.max


def test_values_far_from_zero_lose_no_digits_to_scaling():
    reference = 2.0**53 + 2 * np.arange(-3, 4)
    assert Wasserstein().exact(reference, reference + 4) == pytest.approx(1.0, rel=1e-12)


def test_a_cell_without_an_end_makes_the_upper_bound_infinite():
    cells = CellCounts(
        reference=np.array([50, 50]),
        current=np.array([60, 40]),
        lower=np.array([0.0, 1.0]),
        upper=np.array([1.0, np.inf]),
        reference_std=1.0,
    )
    effect = Wasserstein().from_cells(cells)
    assert effect.upper == np.inf
    assert effect.to_dict()["upper"] is None


def test_a_reference_without_spread_is_measured_by_the_spread_of_both(to_cells):
    reference, current = np.full(100, 5.0), np.repeat([5.0, 9.0], [50, 50])
    # A quarter of all values lies 4 away: W = 0.5 * 4, deviation 4 * sqrt(0.25 * 0.75).
    expected = 2.0 / (4 * np.sqrt(0.1875))
    assert Wasserstein().exact(reference, current) == pytest.approx(expected)
