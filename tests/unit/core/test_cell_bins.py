"""Bins at the reference's quantiles, the same from cells and from values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.cell_bins import Bins, bins_of_cells, bins_of_values, divergence
from airflow_mlops_provider.core.cells import CellCounts


def lattice(reference, current):
    """Cells that each hold one value of integer samples."""
    values = np.unique(np.r_[reference, current])
    counts = [np.array([(one == value).sum() for value in values]) for one in (reference, current)]
    bounds = values.astype(float)
    return CellCounts(reference=counts[0], current=counts[1], lower=bounds, upper=bounds)


def occupied(bins):
    """Counts of the bins that hold a value, in order."""
    kept = (bins.reference[0] + bins.current[0]) > 0
    return np.stack([bins.reference[0][kept], bins.current[0][kept]])


integers = st.lists(st.integers(-8, 8), min_size=1, max_size=60).map(np.array)


@settings(max_examples=150)
@given(integers, integers, st.integers(2, 20))
def test_single_values_fall_into_the_same_bins_from_cells_and_from_values(reference, current, n_bins):
    from_cells = bins_of_cells(lattice(reference, current), n_bins=n_bins)
    from_values = bins_of_values("psi", reference.astype(float), current.astype(float), n_bins=n_bins)
    assert (from_cells.reference[1:] == from_cells.reference[0]).all()
    assert (from_cells.current[1:] == from_cells.current[0]).all()
    np.testing.assert_array_equal(occupied(from_cells), occupied(from_values))


@settings(max_examples=150)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=80).map(np.array),
    st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=80).map(np.array),
    st.integers(2, 12),
    st.integers(2, 40),
)
def test_the_divergence_of_values_lies_in_the_interval_of_any_cells(reference, current, n_bins, n_cells):
    edges = np.linspace(-0.5, 1.5 + 1e-9, n_cells + 1)
    counts = [np.histogram(one, edges)[0] for one in (reference, current)]
    cells = CellCounts(reference=counts[0], current=counts[1], lower=edges[:-1], upper=edges[1:])

    def term(p, q):
        return np.abs(p - q) / 2

    found = divergence(bins_of_cells(cells, n_bins=n_bins), term)
    exact = divergence(bins_of_values("total_variation", reference, current, n_bins=n_bins), term).value
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12


@pytest.mark.parametrize("place", [0.0, 0.2499])
def test_the_interval_holds_though_all_values_lie_at_one_end_of_their_cells(place):
    reference = (np.arange(300) + 0.5) / 300
    current = np.repeat([0.0, 0.25, 0.5, 0.75], 25) + place
    edges = np.linspace(0, 1, 5)
    counts = [np.histogram(one, edges)[0] for one in (reference, current)]
    cells = CellCounts(reference=counts[0], current=counts[1], lower=edges[:-1], upper=edges[1:])
    bins = bins_of_cells(cells, n_bins=3)
    exact = bins_of_values("psi", reference, current, n_bins=3)
    assert (bins.current[1] <= exact.current[0]).all()
    assert (exact.current[0] <= bins.current[2]).all()
    assert (bins.reference[1] <= exact.reference[0]).all()
    assert (exact.reference[0] <= bins.reference[2]).all()


def test_many_values_make_bins_of_equal_reference_mass():
    values = np.random.default_rng(0).normal(size=1000)
    assert set(bins_of_values("psi", values, values, n_bins=10).reference[0]) <= {0.0, 100.0}


def test_a_value_with_much_mass_is_a_bin_of_its_own():
    reference = np.r_[np.zeros(600), np.random.default_rng(0).normal(5, 1, 400)]
    counts = occupied(bins_of_values("psi", reference, reference, n_bins=10))[0]
    assert 600.0 in counts


def test_few_values_and_what_lies_between_them_are_bins_of_their_own():
    bins = bins_of_values("psi", np.repeat([0.0, 10.0], 5), np.array([-1.0, 0.0, 5.0, 10.0, 11.0]), n_bins=10)
    assert bins.reference[0].tolist() == [0, 5, 0, 5, 0]
    assert bins.current[0].tolist() == [1, 1, 1, 1, 1]


def test_categories_are_counted_by_name():
    bins = bins_of_values("psi", np.array(["b", "a", "b"]), np.array(["c", "b"]), n_bins=2)
    assert bins.reference[0].tolist() == [1, 2, 0]
    assert bins.current[0].tolist() == [0, 1, 1]


def test_a_cell_that_may_hide_bins_certifies_nothing():
    cells = CellCounts(
        reference=np.array([50, 50]), current=np.array([50, 50]), lower=np.array([0.0, 1.0]), upper=np.array([1.0, 2.0])
    )
    bins = bins_of_cells(cells, n_bins=10)
    assert bins.hidden
    found = divergence(bins, lambda p, q: np.abs(p - q) / 2, then=lambda total: min(total, 1.0))
    assert (found.lower, found.upper) == (0.0, 1.0)


@pytest.mark.parametrize(("low", "high", "expected"), [(40, 60, 0.0), (60, 80, 0.1), (10, 30, 0.2)])
def test_the_lower_bound_is_the_closest_that_the_counts_allow(low, high, expected):
    reference = np.array([[50.0, 50.0]] * 3)
    current = np.array([[(low + high) / 2, 100 - (low + high) / 2], [low, 100 - high], [high, 100 - low]])
    bins = Bins(reference=reference, current=current, n_reference=100, n_current=100)
    assert divergence(bins, lambda p, q: np.abs(p - q) / 2).lower == pytest.approx(expected)
