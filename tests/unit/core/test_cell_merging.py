"""Merging cells keeps every value, looks only at joint counts and gives tests enough of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.cell_merging import merge_neighbours, merge_rare
from airflow_mlops_provider.core.cells import CellCounts


def ordered(reference, current):
    lower = np.arange(len(reference), dtype=float)
    return CellCounts(reference=np.array(reference), current=np.array(current), lower=lower, upper=lower + 1)


counts = st.integers(1, 30).flatmap(
    lambda k: st.tuples(*[st.lists(st.integers(0, 10_000), min_size=k, max_size=k).filter(any)] * 2)
)


@settings(max_examples=100)
@given(counts)
def test_no_value_is_lost_and_no_merged_cell_is_empty(both):
    cells = ordered(*both)
    for merged in (merge_neighbours(cells, expected=5, most=64), merge_rare(cells)[0]):
        assert merged.sum(axis=1).tolist() == [cells.n_reference, cells.n_current]
        assert (merged.sum(axis=0) > 0).all()


def test_even_cells_merge_to_equal_mass():
    merged = merge_neighbours(ordered([100] * 128, [10] * 128), expected=5, most=64)
    assert merged.shape == (2, 64)
    assert set(merged.sum(axis=0)) == {220}


def test_a_small_sample_gets_fewer_cells():
    assert merge_neighbours(ordered([1000] * 128, [1] * 50 + [0] * 78), expected=5, most=64).shape[1] <= 10


def test_a_value_with_much_mass_keeps_to_itself():
    merged = merge_neighbours(ordered([6000] + [40] * 100, [600] + [4] * 100), expected=5, most=64)
    assert merged[:, 0].tolist() == [6000, 600]


def test_swapping_values_between_the_samples_does_not_change_which_cells_merge():
    rng = np.random.default_rng(0)
    pooled = rng.integers(1, 100, 200)
    shapes = set()
    for _ in range(10):
        current = rng.multivariate_hypergeometric(pooled, 500)
        merged = merge_neighbours(ordered(pooled - current, current), expected=5, most=64)
        shapes.add(tuple(merged.sum(axis=0)))
    assert len(shapes) == 1


def test_rare_categories_merge_until_each_expects_five():
    cells = CellCounts(reference=np.array([500, 300, 190, 4, 3, 3]), current=np.array([50, 30, 15, 2, 2, 1]))
    merged, lost = merge_rare(cells)
    expected = merged.sum(axis=0) * 100 / 1100
    assert (expected >= 5).all()
    assert merged.shape[1] == 3
    assert lost.tolist() == [10, 5]


def test_rare_categories_that_expect_enough_together_are_not_lost():
    cells = CellCounts(reference=np.array([500, 300, 40, 40, 40]), current=np.array([50, 30, 4, 4, 4]))
    merged, lost = merge_rare(cells)
    assert merged.sum(axis=0).tolist() == [550, 330, 132]
    assert lost is None


def test_common_categories_stay_as_they_are():
    cells = CellCounts(reference=np.array([50, 50, 50]), current=np.array([30, 40, 20]))
    assert merge_rare(cells)[0].sum(axis=0).tolist() == [90, 80, 70]


def test_at_most_a_hundred_categories_remain():
    cells = CellCounts(reference=np.full(900, 100), current=np.full(900, 100))
    assert merge_rare(cells)[0].shape[1] == 100
