"""TotalVariation: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.total_variation import TotalVariation


def quantile_shares(reference, current, n_bins=10):
    """Shares of (e_{k-1}, e_k] by NumPy's own quantiles, for columns without heavy ties."""
    edges = np.quantile(reference, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return [
        np.histogram(-one, bins=np.r_[-np.inf, -edges[::-1], np.inf])[0][::-1] / len(one)
        for one in (reference, current)
    ]


def test_categories_agree_with_the_definition(drifting):
    for _, _, reference, current in drifting("categorical"):
        keys = np.union1d(reference, current)
        p, q = ((one[:, None] == keys).mean(axis=0) for one in (reference, current))
        assert TotalVariation().exact(reference, current) == pytest.approx(np.maximum(p - q, 0).sum(), rel=1e-9)


def test_numbers_agree_with_the_definition_on_numpy_quantiles(samples):
    for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
        p, q = quantile_shares(*samples["large"][name])
        assert TotalVariation().exact(*samples["large"][name]) == pytest.approx(np.maximum(p - q, 0).sum(), rel=1e-9)


def test_samples_without_a_common_value_are_at_distance_one():
    assert TotalVariation().exact(np.array(["a"]), np.array(["b", "c"])) == 1.0


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = TotalVariation().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= TotalVariation().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = TotalVariation().from_cells(to_cells(reference, current))
        exact = TotalVariation().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
