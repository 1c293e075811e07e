"""F - G along cells, and what it can be inside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.cell_steps import pooled_scale, steps_of
from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.errors import InputError

samples = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=60).map(np.array)


@settings(max_examples=150)
@given(samples, samples, st.integers(1, 20))
def test_inside_a_cell_the_difference_never_leaves_its_bounds(reference, current, n_cells):
    edges = np.linspace(0, 1, n_cells + 1)
    counts = [np.histogram(one, edges)[0] for one in (reference, current)]
    steps = steps_of("x", CellCounts(reference=counts[0], current=counts[1], lower=edges[:-1], upper=edges[1:]))
    points = np.unique(np.r_[reference, current])
    f, g = (np.searchsorted(np.sort(one), points, side="right") / len(one) for one in (reference, current))
    cell = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, n_cells - 1)
    assert (f - g >= steps.lowest[cell] - 1e-12).all()
    assert (f - g <= steps.highest[cell] + 1e-12).all()
    assert steps.after[-1] == 0.0


def test_the_mean_size_over_an_even_cell_is_the_area_between_the_lines():
    cells = CellCounts(
        reference=np.array([2, 8, 0]), current=np.array([5, 0, 5]), lower=np.arange(3.0), upper=np.arange(3.0) + 1
    )
    # F - G goes 0 -> -0.3 -> 0.5 -> 0; where it crosses 0 the area is two triangles.
    expected = [0.15, (0.3**2 + 0.5**2) / (2 * 0.8), 0.25]
    assert steps_of("x", cells).mean_size() == pytest.approx(expected)


def test_the_pooled_scale_is_numpys_standard_deviation_of_both_samples():
    x, y = np.repeat([1.0, 4.0], [3, 1]), np.repeat([4.0, 9.0], 2)
    values = np.array([1.0, 4.0, 9.0])
    cells = CellCounts(reference=np.array([3, 1, 0]), current=np.array([0, 2, 2]), lower=values, upper=values)
    assert pooled_scale(cells) == pytest.approx(np.std(np.r_[x, y]))


def test_categories_have_no_steps_and_no_scale():
    cells = CellCounts(reference=np.array([1]), current=np.array([1]), labels=("a",))
    assert pooled_scale(cells) == 0.0
    with pytest.raises(InputError, match="'x' compares numbers"):
        steps_of("x", cells)
