"""CramersV: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.cramers_v import CramersV


def test_categories_agree_with_scipy(drifting, golden):
    for size, name, reference, current in drifting("categorical"):
        expected = golden["scipy"]["values"][size][name]["cramers_v"]
        assert CramersV().exact(reference, current) == pytest.approx(expected, rel=1e-9)


def test_equal_samples_without_a_common_value_are_wholly_associated():
    assert CramersV().exact(np.array(["a"] * 9), np.array(["b"] * 9)) == 1.0


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = CramersV().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= CramersV().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = CramersV().from_cells(to_cells(reference, current))
        exact = CramersV().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
