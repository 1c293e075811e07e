"""KullbackLeibler: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.kullback_leibler import KullbackLeibler


def quantile_shares(reference, current, n_bins=10):
    """Shares of (e_{k-1}, e_k] by NumPy's own quantiles, for columns without heavy ties."""
    edges = np.quantile(reference, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return [
        np.histogram(-one, bins=np.r_[-np.inf, -edges[::-1], np.inf])[0][::-1] / len(one)
        for one in (reference, current)
    ]


def test_categories_agree_with_scipy_and_evidently(drifting, golden):
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        found = KullbackLeibler().exact(reference, current)
        assert found == pytest.approx(golden["scipy"]["values"][size][name]["kullback_leibler"], rel=1e-9)
        assert found == pytest.approx(golden["evidently"]["values"][size][name]["kl_div"], rel=1e-9)


def test_numbers_agree_with_the_formula_on_numpy_quantiles(samples):
    for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
        p, q = quantile_shares(*samples["large"][name])
        assert KullbackLeibler().exact(*samples["large"][name]) == pytest.approx((p * np.log(p / q)).sum(), rel=1e-9)


def test_what_the_current_sample_lacks_weighs_more_than_what_is_new():
    common, rare = np.repeat(["a", "b"], [50, 50]), np.repeat(["a", "b"], [99, 1])
    assert KullbackLeibler().exact(common, rare) > KullbackLeibler().exact(rare, common)


def test_an_empty_bin_stays_finite_and_positive():
    both, one = np.repeat(["a", "b"], 50), np.repeat(["a"], 100)
    assert 0 < KullbackLeibler().exact(one, both) < 10
    assert 0 < KullbackLeibler().exact(both, one) < 10


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = KullbackLeibler().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= KullbackLeibler().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = KullbackLeibler().from_cells(to_cells(reference, current))
        exact = KullbackLeibler().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
