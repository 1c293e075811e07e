"""KolmogorovSmirnov: values of independent sources, and what the cells certify."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.drift.kolmogorov_smirnov import KolmogorovSmirnov
from airflow_mlops_provider.core.errors import InputError


def test_it_agrees_with_scipy_and_nannyml(drifting, golden):
    for size, name, reference, current in drifting("numeric"):
        found = KolmogorovSmirnov().exact(reference, current)
        assert found == pytest.approx(golden["scipy"]["values"][size][name]["kolmogorov_smirnov"], rel=1e-9)
        assert found == pytest.approx(golden["nannyml"]["values"][size][name]["kolmogorov_smirnov"], abs=1e-9)


def test_columns_counted_by_value_are_exact(samples, to_cells):
    for name in ("discrete", "few", "two_values"):
        reference, current = samples["large"][name]
        effect = KolmogorovSmirnov().from_cells(to_cells(reference, current))
        assert effect.lower == effect.upper == pytest.approx(KolmogorovSmirnov().exact(reference, current), rel=1e-12)


def test_the_interval_of_many_values_is_narrow(samples, to_cells):
    for name in ("continuous", "heavy_tailed", "scaled"):
        effect = KolmogorovSmirnov().from_cells(to_cells(*samples["large"][name]))
        assert effect.upper - effect.lower < 0.02


def test_categories_are_refused(to_cells, samples):
    with pytest.raises(InputError, match="compares numbers"):
        KolmogorovSmirnov().from_cells(to_cells(*samples["small"]["category"]))


def test_profiles_certify_the_exact_value(drifting, to_cells):
    for size, name, reference, current in drifting("numeric"):
        effect = KolmogorovSmirnov().from_cells(to_cells(reference, current))
        assert effect.lower - 1e-9 <= KolmogorovSmirnov().exact(reference, current) <= effect.upper + 1e-9, (size, name)
