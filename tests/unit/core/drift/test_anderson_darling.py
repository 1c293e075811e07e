"""AndersonDarling: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.anderson_darling import AndersonDarling


def standardised(statistic, n, m):
    """(A2 - 1) / sigma_N with the variance of Scholz and Stephens (1987), equation 4, for k = 2."""
    total, h_sum = n + m, 1 / n + 1 / m
    h = sum(1 / i for i in range(1, total))
    g = sum(1 / ((total - i) * j) for i in range(1, total - 1) for j in range(i + 1, total))
    a = (4 * g - 6) + (10 - 6 * g) * h_sum
    b = (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * h_sum - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * h_sum + 4 * h
    d = (2 * h + 6) * 4 - 8 * h
    variance = (a * total**3 + b * total**2 + c * total + d) / ((total - 1) * (total - 2) * (total - 3))
    return (statistic - 1) / np.sqrt(variance)


def test_standardised_it_agrees_with_scipy_with_and_without_ties(samples, golden):
    for name, (reference, current) in samples["small"].items():
        if reference.dtype.kind == "f":
            found = standardised(AndersonDarling().exact(reference, current), len(reference), len(current))
            assert found == pytest.approx(golden["scipy"]["values"]["small"][name]["anderson_darling_z"], rel=1e-6)


def test_columns_counted_by_value_are_exact(samples, to_cells):
    for name in ("few", "two_values"):
        reference, current = samples["large"][name]
        effect = AndersonDarling().from_cells(to_cells(reference, current))
        assert effect.lower == effect.upper == pytest.approx(AndersonDarling().exact(reference, current), rel=1e-9)


def test_grouping_many_values_in_cells_hardly_changes_it(samples, to_cells):
    for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
        reference, current = samples["large"][name]
        effect = AndersonDarling().from_cells(to_cells(reference, current))
        assert effect.value == pytest.approx(AndersonDarling().exact(reference, current), rel=0.02, abs=0.02)
