"""Psi: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.drift.psi import Psi


def quantile_shares(reference, current, n_bins=10):
    """Shares of (e_{k-1}, e_k] by NumPy's own quantiles, for columns without heavy ties."""
    edges = np.quantile(reference, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return [
        np.histogram(-one, bins=np.r_[-np.inf, -edges[::-1], np.inf])[0][::-1] / len(one)
        for one in (reference, current)
    ]


def test_categories_agree_with_evidently(drifting, golden):
    # It fills empty shares with 0.0001, we with half a value.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        expected = golden["evidently"]["values"][size][name]["psi"]
        assert Psi().exact(reference, current) == pytest.approx(expected, rel=1e-9)


def test_numbers_agree_with_the_formula_on_numpy_quantiles(samples):
    for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
        reference, current = samples["large"][name]
        p, q = quantile_shares(reference, current)
        expected = ((p - q) * np.log(p / q)).sum()
        assert Psi().exact(reference, current) == pytest.approx(expected, rel=1e-12)


def test_a_shift_by_one_sigma_comes_near_its_closed_form():
    # For N(0, 1) against N(1, 1) the symmetrised divergence is 1; many bins approach it from below.
    rng = np.random.default_rng(0)
    reference, current = rng.normal(0, 1, 200_000), rng.normal(1, 1, 200_000)
    assert Psi(n_bins=200).exact(reference, current) == pytest.approx(1.0, abs=0.02)
    assert Psi().exact(reference, current) < Psi(n_bins=50).exact(reference, current) < 1.02


def test_an_empty_bin_counts_as_half_a_value():
    reference, current = np.repeat(["a", "b"], [90, 10]), np.repeat(["a"], 50)
    expected = (0.9 - 1.0) * np.log(0.9 / 1.0) + (0.1 - 0.01) * np.log(0.1 / 0.01)
    assert Psi().exact(reference, current) == pytest.approx(expected, rel=1e-12)


def test_a_value_that_leaves_a_lattice_is_seen():
    reference = np.repeat([0.0, 10.0], 100)
    assert Psi().exact(reference, np.repeat([0.0, 5.0], 100)) > 1


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = Psi().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= Psi().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = Psi().from_cells(to_cells(reference, current))
        exact = Psi().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
