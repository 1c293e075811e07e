"""Moments and quantiles from cells against NumPy on the values, within the error that the cells allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.cell_moments import moments, quantiles
from airflow_mlops_provider.core.histogram import AsinhGrid, numeric_grid

SAMPLES = st.one_of(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=200),
    st.lists(st.floats(0, 1e9).map(lambda x: x**8), min_size=1, max_size=200),
)


def cells(reference: list[float], values: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    grid = numeric_grid(np.array(reference))
    numbers, counts = np.unique(grid.cells(np.array(values)), return_counts=True)
    lower, upper = grid.bounds(numbers)
    lower = np.maximum(lower, min(values))
    return lower, np.maximum(lower, np.minimum(upper, max(values))), counts


@settings(max_examples=200)
@given(reference=SAMPLES, values=SAMPLES)
def test_mean_and_standard_deviation_differ_from_the_exact_ones_by_no_more_than_stated(
    reference: list[float], values: list[float]
) -> None:
    found = moments(*cells(reference, values))
    rounding = 1e-9 * max(map(abs, values))
    assert abs(found.mean - np.mean(values)) <= found.mean_error + rounding
    assert abs(found.std - np.std(values)) <= found.std_error + rounding


@settings(max_examples=200)
@given(reference=SAMPLES, values=SAMPLES, q=st.floats(0, 1))
def test_quantiles_are_right_to_the_width_of_their_cell(reference: list[float], values: list[float], q: float) -> None:
    lower, upper, counts = cells(reference, values)
    exact = np.quantile(values, q, method="inverted_cdf")
    found = quantiles(lower, upper, counts, np.array([q]))[0]
    rounding = 1e-9 * max(map(abs, values))
    widths = (upper - lower)[(lower <= exact + rounding) & (exact - rounding <= upper)]
    assert abs(found - exact) <= widths.max() + rounding


def test_single_values_give_exact_figures() -> None:
    points = np.array([1.0, 2.0, 4.0])
    found = moments(points, points, np.array([1, 2, 1]))
    assert (found.mean, found.mean_error, found.std_error) == (2.25, 0.0, 0.0)
    assert found.std == pytest.approx(np.std([1, 2, 2, 4]))
    assert quantiles(points, points, np.array([1, 2, 1]), np.array([0, 0.25, 0.5, 0.75, 1])).tolist() == [1, 1, 2, 2, 4]


def test_a_lognormal_of_a_hundred_thousand_values_is_right_to_a_thousandth() -> None:
    values = np.random.default_rng(3).lognormal(0, 1.5, 100_000)
    lower, upper, counts = cells(values.tolist(), values.tolist())
    found = moments(lower, upper, counts)
    assert found.mean == pytest.approx(values.mean(), rel=1e-3)
    assert found.std == pytest.approx(values.std(), rel=1e-3)
    probabilities = np.array([0.01, 0.25, 0.5, 0.75, 0.99])
    np.testing.assert_allclose(
        quantiles(lower, upper, counts, probabilities), np.quantile(values, probabilities), rtol=0.02, atol=2.4 / 64
    )


def test_values_near_the_end_of_float64_do_not_overflow() -> None:
    grid = AsinhGrid(kind="numeric", centre=0.0, scale=1.0)
    numbers = np.unique(grid.cells(np.array([-1e308, 1.0, 1e308])))
    lower, upper = grid.bounds(numbers)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = moments(np.maximum(lower, -1e308), np.minimum(upper, 1e308), np.array([1, 1, 1]))
    assert np.isfinite([found.mean, found.mean_error, found.std, found.std_error]).all()
    assert found.std + found.std_error >= np.sqrt(2 / 3) * 1e308 * (1 - 1e-9)
