"""Grids put every finite number into one cell, and the bounds of that cell hold it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import MAX_VALUES, AsinhGrid, CategoryGrid, NoGrid, ValueGrid, numeric_grid

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SAMPLES = st.one_of(
    st.lists(FINITE, max_size=300),
    st.lists(st.floats(-1e6, 1e6), min_size=50, max_size=300),
    st.lists(st.integers(-(2**63), 2**63 - 1).map(float), max_size=100),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, math.pi]), max_size=200),
)


def assert_cells_hold(grid: AsinhGrid | ValueGrid, values: np.ndarray) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        cells = grid.cells(values)
        in_order = grid.cells(np.sort(values))
        lower, upper = grid.bounds(cells)
    assert ((cells >= 0) & (cells < grid.n_cells)).all()
    assert (np.diff(in_order) >= 0).all()
    with np.errstate(over="ignore"):
        # Rounding of asinh and sinh, in units of the distance from the centre.
        centre, scale = (grid.centre, grid.scale) if isinstance(grid, AsinhGrid) else (0.0, 0.0)
        slack = 1e-12 * (np.minimum(np.abs(values - centre), 1.7e308) + scale) + 4 * np.spacing(np.abs(values) / 2)
        assert (lower <= values + slack).all()
        assert (values - slack <= upper).all()


@settings(max_examples=300)
@given(reference=SAMPLES, others=st.lists(FINITE, max_size=50))
def test_every_finite_number_lies_within_the_bounds_of_its_cell(reference: list[float], others: list[float]) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        grid = numeric_grid(np.array(reference, dtype=float))
    assert_cells_hold(grid, np.array([*reference, *others, 1e308, -1e308, 0.0, 5e-324]))


def test_a_cell_at_the_centre_is_a_64th_of_the_interquartile_range() -> None:
    grid = numeric_grid(np.arange(10_001) / 10.0)
    assert isinstance(grid, AsinhGrid)
    assert (grid.centre, grid.scale) == (500.0, 500.0)
    lower, upper = grid.bounds(grid.cells(np.array([501.0])))
    assert upper[0] - lower[0] == pytest.approx(500 / 64, rel=1e-3)


def test_a_cell_in_the_tail_is_a_64th_of_the_distance() -> None:
    grid = AsinhGrid(kind="numeric", centre=0.0, scale=1.0)
    lower, upper = grid.bounds(grid.cells(np.array([-1e6, 1e9])))
    np.testing.assert_allclose((upper - lower) / np.abs([-1e6, 1e9]), 1 / 64, rtol=0.02)


def test_values_that_repeat_get_a_cell_each_and_one_for_each_gap() -> None:
    grid = numeric_grid(np.array([3.0, 1.0, 1.0, 3.0, 7.0, 7.0]))
    assert grid == ValueGrid(kind="numeric", values=(1.0, 3.0, 7.0))
    assert grid.cells(np.array([0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 8.0])).tolist() == [0, 1, 2, 3, 4, 5, 6]
    lower, upper = grid.bounds(np.arange(7))
    assert lower.tolist() == [-math.inf, 1, 1, 3, 3, 7, 7]
    assert upper.tolist() == [1, 1, 3, 3, 7, 7, math.inf]


def test_values_that_do_not_repeat_are_not_kept() -> None:
    assert isinstance(numeric_grid(np.random.default_rng(0).normal(size=200)), AsinhGrid)


@pytest.mark.parametrize(("distinct", "expected"), [(MAX_VALUES, ValueGrid), (MAX_VALUES + 1, AsinhGrid)])
def test_more_values_than_the_limit_do_not_get_cells_of_their_own(distinct: int, expected: type) -> None:
    assert isinstance(numeric_grid(np.repeat(np.arange(distinct) / 4, 4)), expected)


def test_a_reference_without_values_or_with_one_gets_a_usable_grid() -> None:
    assert numeric_grid(np.empty(0)) == AsinhGrid(kind="numeric", centre=0.0, scale=1.0)
    assert numeric_grid(np.array([7.5])) == ValueGrid(kind="numeric", values=(7.5,))
    assert repr(numeric_grid(np.array([-0.0, 0.0, 0.0]))) == repr(ValueGrid(kind="numeric", values=(0.0,)))


def test_without_interquartile_range_the_standard_deviation_is_the_scale() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(9_000), rng.normal(size=1_000)])
    grid = numeric_grid(values)
    assert isinstance(grid, AsinhGrid)
    assert grid.scale == pytest.approx(np.std(values))


HARD = {
    "two tight modes": lambda rng: np.concatenate([rng.normal(0, 1, 50_000), rng.normal(1000, 1, 50_000)]),
    "zero-inflated": lambda rng: np.where(rng.random(100_000) < 0.7, 0.0, rng.lognormal(0, 1, 100_000)),
    "prices": lambda rng: np.round(rng.lognormal(3, 1, 100_000), 2),
    "counts": lambda rng: np.floor(rng.lognormal(2, 2, 100_000)),
    "spike in a wide range": lambda rng: np.where(
        rng.random(100_000) < 0.5, rng.normal(5, 1e-6, 100_000), rng.uniform(-1e9, 1e9, 100_000)
    ),
    "normal": lambda rng: rng.normal(1e6, 1, 100_000),
    "heavy": lambda rng: rng.standard_t(2, 100_000),
    "lognormal": lambda rng: rng.lognormal(0, 2, 100_000),
}


@pytest.mark.parametrize("shape", HARD)
def test_no_cell_but_of_a_single_value_holds_much_more_than_two_percent(shape: str) -> None:
    values = HARD[shape](np.random.default_rng(7))
    grid = numeric_grid(values)
    assert isinstance(grid, AsinhGrid)
    counts = np.bincount(grid.cells(values), minlength=grid.n_cells)
    lower, upper = grid.bounds(np.arange(grid.n_cells))
    assert counts[lower < upper].max() / len(values) <= 0.021
    assert len(grid.splits) <= 3 * 128


def test_a_repeated_value_among_continuous_ones_has_a_cell_of_its_own() -> None:
    values = HARD["zero-inflated"](np.random.default_rng(7))
    grid = numeric_grid(values)
    cell = grid.cells(np.array([0.0]))
    assert [float(bound[0]) for bound in grid.bounds(cell)] == [0.0, 0.0]
    assert (grid.cells(values) == cell).sum() == (values == 0).sum()


def test_full_digits_of_many_values_are_not_kept() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=MAX_VALUES), 5)
    assert isinstance(numeric_grid(values), AsinhGrid)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AsinhGrid(kind="numeric", centre=math.nan, scale=1.0),
        lambda: AsinhGrid(kind="numeric", centre=0.0, scale=0.0),
        lambda: AsinhGrid(kind="numeric", centre=0.0, scale=math.inf),
        lambda: AsinhGrid(kind="numeric", centre=0.0, scale=1.0, splits=(2.0, 1.0)),
        lambda: AsinhGrid(kind="numeric", centre=0.0, scale=1.0, splits=(math.nan,)),
        lambda: ValueGrid(kind="numeric", values=()),
        lambda: ValueGrid(kind="numeric", values=(1.0, 1.0)),
        lambda: ValueGrid(kind="numeric", values=(1.0, math.inf)),
    ],
)
def test_grids_that_could_not_count_are_refused(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]  # the parameters differ


def test_grids_without_numbers_know_how_many_cells_they_have() -> None:
    assert CategoryGrid(kind="text", categories=("a", "b"), complete=True).n_cells == 2
    assert NoGrid().n_cells == 0


def test_values_further_apart_than_the_greatest_float_lie_within_the_bounds_of_their_cells() -> None:
    grid = AsinhGrid(kind="numeric", centre=-1e308, scale=1e308)
    values = np.array([-1.7e308, -1e308, 0.0, 1e308, 1.7e308])
    cells = grid.cells(values)
    lower, upper = grid.bounds(cells)
    assert (np.diff(cells) > 0).all()
    assert ((lower <= values) & (values <= upper)).all()
    assert np.isfinite(lower[-1])
