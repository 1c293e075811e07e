"""JensenShannon: values of independent sources, and what the cells certify."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from airflow_mlops_provider.core.drift.jensen_shannon import JensenShannon


def quantile_shares(reference, current, n_bins=10):
    """Shares of (e_{k-1}, e_k] by NumPy's own quantiles, for columns without heavy ties."""
    edges = np.quantile(reference, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return [
        np.histogram(-one, bins=np.r_[-np.inf, -edges[::-1], np.inf])[0][::-1] / len(one)
        for one in (reference, current)
    ]


def test_categories_agree_with_scipy_and_nannyml_and_in_nats_with_evidently(drifting, golden):
    for size, name, reference, current in drifting("categorical"):
        found = JensenShannon().exact(reference, current)
        assert found == pytest.approx(golden["scipy"]["values"][size][name]["jensen_shannon"], rel=1e-9)
        assert found == pytest.approx(golden["nannyml"]["values"][size][name]["jensen_shannon"], rel=1e-9)
        nats = golden["evidently"]["values"][size][name]["jensenshannon"]
        assert found * np.sqrt(np.log(2)) == pytest.approx(nats, rel=1e-9)


def test_few_numbers_are_compared_value_by_value_as_categories_are(samples):
    for name in ("few", "two_values"):
        reference, current = samples["large"][name]
        as_text = reference.astype(str), current.astype(str)
        assert JensenShannon().exact(reference, current) == pytest.approx(JensenShannon().exact(*as_text), rel=1e-12)


def test_numbers_agree_with_scipy_on_numpy_quantiles(samples):
    for name in ("continuous", "heavy_tailed", "scaled", "quiet"):
        reference, current = samples["large"][name]
        expected = jensenshannon(*quantile_shares(reference, current), base=2)
        assert JensenShannon().exact(reference, current) == pytest.approx(expected, rel=1e-9)


def test_samples_without_a_common_value_are_at_distance_one():
    assert JensenShannon().exact(np.array(["a"]), np.array(["b", "c"])) == 1.0


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = JensenShannon().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= JensenShannon().exact(reference, current) <= effect.upper + 1e-9, (size, name)


def test_categories_agree_exactly_between_cells_and_values(drifting, to_cells):
    # Rows in unseen categories are not among the cells; they are judged apart.
    for size, name, reference, current in drifting("categorical", without=("category_unseen",)):
        effect = JensenShannon().from_cells(to_cells(reference, current))
        exact = JensenShannon().exact(reference, current)
        assert effect.lower == effect.upper == effect.value == pytest.approx(exact, rel=1e-12), (size, name)
