"""CramerVonMises: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.cramer_von_mises import CramerVonMises


def test_without_ties_it_agrees_with_scipy(samples, golden):
    for size in samples:
        for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
            expected = golden["scipy"]["values"][size][name]["cramer_von_mises"]
            assert CramerVonMises().exact(*samples[size][name]) == pytest.approx(expected, rel=1e-9)


def test_with_ties_it_keeps_its_definition():
    # F - G is 1/4 at 0 and 0 at 1; three of the eight values are 0, and 4 * 4 / 8^2 = 1/4.
    assert CramerVonMises().exact(np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 1, 1])) == pytest.approx(0.25 * 3 / 16)


def test_columns_counted_by_value_are_exact(samples, to_cells):
    for name in ("few", "two_values"):
        reference, current = samples["large"][name]
        effect = CramerVonMises().from_cells(to_cells(reference, current))
        assert effect.lower == effect.upper == pytest.approx(CramerVonMises().exact(reference, current), rel=1e-9)


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = CramerVonMises().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= CramerVonMises().exact(reference, current) <= effect.upper + 1e-9, (size, name)
