"""LInfinity: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.l_infinity import LInfinity


def test_categories_agree_with_nannyml(drifting, golden):
    for size, name, reference, current in drifting("categorical"):
        expected = golden["nannyml"]["values"][size][name]["l_infinity"]
        assert LInfinity().exact(reference, current) == pytest.approx(expected, rel=1e-9)


def test_it_is_the_change_of_the_category_that_changed_most():
    reference, current = np.repeat(["a", "b", "c"], [50, 30, 20]), np.repeat(["a", "b", "c"], [40, 35, 25])
    assert LInfinity().exact(reference, current) == pytest.approx(0.1)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = LInfinity().from_cells(to_cells(reference, current))
        exact = LInfinity().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
