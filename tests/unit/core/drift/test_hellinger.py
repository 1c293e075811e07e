"""Hellinger: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.hellinger import Hellinger


def quantile_shares(reference, current, n_bins=10):
    """Shares of (e_{k-1}, e_k] by NumPy's own quantiles, for columns without heavy ties."""
    edges = np.quantile(reference, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return [
        np.histogram(-one, bins=np.r_[-np.inf, -edges[::-1], np.inf])[0][::-1] / len(one)
        for one in (reference, current)
    ]


def test_categories_agree_with_evidently_and_nannyml(drifting, golden):
    for size, name, reference, current in drifting("categorical"):
        found = Hellinger().exact(reference, current)
        for tool in ("evidently", "nannyml"):
            # Evidently fills empty shares with 0.0001, which shows where a category is unseen.
            tolerance = 0.02 if name == "category_unseen" else 1e-6
            assert found == pytest.approx(golden[tool]["values"][size][name]["hellinger"], rel=tolerance)


def test_numbers_agree_with_the_formula_on_numpy_quantiles(samples):
    for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
        p, q = quantile_shares(*samples["large"][name])
        expected = np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2)
        assert Hellinger().exact(*samples["large"][name]) == pytest.approx(expected, rel=1e-9)


def test_a_shift_comes_near_its_closed_form():
    # For N(0, 1) against N(d, 1), H^2 = 1 - exp(-d^2 / 8).
    rng = np.random.default_rng(0)
    found = Hellinger(n_bins=100).exact(rng.normal(0, 1, 100_000), rng.normal(1, 1, 100_000))
    assert found == pytest.approx(np.sqrt(1 - np.exp(-1 / 8)), abs=0.01)


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = Hellinger().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= Hellinger().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = Hellinger().from_cells(to_cells(reference, current))
        exact = Hellinger().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
