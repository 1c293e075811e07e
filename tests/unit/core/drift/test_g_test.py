"""GTest: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from airflow_mlops_provider.core.drift.g_test import GTest


def test_categories_agree_with_scipy(drifting, golden):
    for size, name, reference, current in drifting("categorical"):
        expected = golden["scipy"]["values"][size][name]["g_test"]
        assert GTest().exact(reference, current) == pytest.approx(expected, rel=1e-9)


def test_bins_of_numbers_make_the_table_that_scipy_judges(samples):
    reference, current = samples["large"]["heavy_tailed"]
    edges = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    table = [np.bincount(np.searchsorted(edges, one), minlength=10) for one in (reference, current)]
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert GTest().exact(reference, current) == pytest.approx(expected)


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = GTest().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= GTest().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = GTest().from_cells(to_cells(reference, current))
        exact = GTest().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
