"""Chi2: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from airflow_mlops_provider.core.drift.chi2 import Chi2


def test_categories_agree_with_scipy_and_nannyml(drifting, golden):
    for size, name, reference, current in drifting("categorical"):
        found = Chi2().exact(reference, current)
        assert found == pytest.approx(golden["scipy"]["values"][size][name]["chi2"], rel=1e-9)
        if name != "binary":  # there NannyML applies Yates' correction
            assert found == pytest.approx(golden["nannyml"]["values"][size][name]["chi2"], rel=1e-9)


def test_its_default_leaves_the_decision_to_significance():
    assert Chi2.threshold == 0.0


def test_bins_of_numbers_make_the_table_that_scipy_judges(samples):
    reference, current = samples["large"]["scaled"]
    edges = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    table = [np.bincount(np.searchsorted(edges, one), minlength=10) for one in (reference, current)]
    assert Chi2().exact(reference, current) == pytest.approx(chi2_contingency(table, correction=False).statistic)


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = Chi2().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= Chi2().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = Chi2().from_cells(to_cells(reference, current))
        exact = Chi2().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
