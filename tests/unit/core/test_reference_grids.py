"""The grid of each column fits the reference, is small, and keeps no value that stands for one person."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from airflow_mlops_provider.core import reference_grids as module
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import AsinhGrid, CategoryGrid, NoGrid, ValueGrid
from airflow_mlops_provider.core.reference_grids import reference_grids, sample_positions


def category_grid(values: list[str] | pa.Array, **settings: int) -> CategoryGrid:
    grid = reference_grids(pa.table({"x": values}), **settings)["x"]
    assert isinstance(grid, CategoryGrid)
    return grid


def test_the_columns_of_a_real_table_get_the_grids_an_analyst_would_choose(telco: Path) -> None:
    grids = reference_grids(csv.read_csv(telco))
    assert isinstance(grids["tenure"], ValueGrid)
    assert grids["tenure"].values == tuple(float(month) for month in range(73))
    assert isinstance(grids["total_charges"], AsinhGrid)
    assert isinstance(grids["payment_method"], CategoryGrid)
    assert grids["payment_method"].categories[0] == "Electronic check"
    assert grids["payment_method"].complete


def test_the_centre_and_scale_are_median_and_interquartile_range() -> None:
    values = np.random.default_rng(1).lognormal(size=50_001)
    grid = reference_grids(pa.table({"x": values}))["x"]
    assert isinstance(grid, AsinhGrid)
    assert grid.centre == pytest.approx(np.median(values), rel=1e-3)
    assert grid.scale == pytest.approx(np.subtract(*np.quantile(values, [0.75, 0.25])), rel=1e-3)


def test_a_sample_of_the_rows_gives_nearly_the_same_grid() -> None:
    values = np.random.default_rng(1).normal(size=200_000)
    table = pa.table({"x": values})
    sampled, again, other = (reference_grids(table, sample_rows=10_000, seed=seed)["x"] for seed in (3, 3, 4))
    assert sampled == again != other
    assert isinstance(sampled, AsinhGrid)
    assert sampled.scale == pytest.approx(1.349, rel=0.05)


def test_the_grid_does_not_depend_on_chunks_nor_on_special_values() -> None:
    values = [1.5, None, float("nan"), float("inf"), 2.5, 1.5, 2.5]
    whole = pa.table({"x": values, "text": list("aabbabc")})
    chunked = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 0), whole.slice(2)])
    assert reference_grids(chunked) == reference_grids(whole)
    assert reference_grids(whole)["x"] == ValueGrid(kind="numeric", values=(1.5, 2.5))


def test_categories_come_by_falling_count_and_then_by_name() -> None:
    assert category_grid(["d", "b", "b", "c", "c", "c", "a"]).categories == ("c", "b", "a", "d")


def test_of_too_many_categories_the_frequent_ones_are_kept() -> None:
    names = [f"n{i:02d}" for i in range(50) for _ in range(i)]
    grid = category_grid(names, max_categories=10)
    assert grid == CategoryGrid(kind="text", categories=tuple(f"n{i}" for i in range(49, 39, -1)), complete=False)


def test_texts_that_identify_a_row_are_not_kept() -> None:
    assert category_grid([f"customer {i}" for i in range(500)]) == CategoryGrid(
        kind="text", categories=(), complete=False
    )
    mixed = category_grid([f"customer {i}" for i in range(5_000)] + ["none"] * 5)
    assert mixed.categories == ("none",)


def test_texts_beyond_the_exact_count_are_chosen_by_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_EXACT_TEXTS", 100)
    names = [f"rare {i}" for i in range(3_000)] + [f"often {i % 3}" for i in range(3_000)]
    grid = category_grid(pa.array(np.random.default_rng(0).permutation(names)), sample_rows=1_000)
    assert sorted(grid.categories) == ["often 0", "often 1", "often 2"]
    assert not grid.complete


def test_rare_texts_of_a_low_cardinality_column_are_found_beyond_the_sample() -> None:
    names = ["a", "b"] * 50_000 + ["once"]
    grid = category_grid(names, sample_rows=100)
    assert grid == CategoryGrid(kind="text", categories=("a", "b", "once"), complete=True)


def test_long_names_share_a_budget_over_the_columns() -> None:
    texts = [f"{i:0120d}" for i in range(900)] * 2
    one = reference_grids(pa.table({"x": texts}))["x"]
    assert isinstance(one, CategoryGrid)
    assert one.complete
    many = reference_grids(pa.table({f"x{i}": texts for i in range(10)}))["x0"]
    assert isinstance(many, CategoryGrid)
    assert (len(many.categories), many.complete) == (12_000 // 123, False)


def test_columns_without_values_and_of_other_types_get_no_grid() -> None:
    grids = reference_grids(pa.table({"null": pa.nulls(3), "bytes": [b"x"] * 3, "list": [[1]] * 3}))
    assert set(grids.values()) == {NoGrid()}


def test_a_table_without_rows_has_grids() -> None:
    grids = reference_grids(pa.table({"x": pa.array([], pa.float64()), "t": pa.array([], pa.string())}))
    assert isinstance(grids["x"], AsinhGrid)
    assert grids["t"] == CategoryGrid(kind="text", categories=(), complete=True)


def test_the_sample_is_uniform_without_repetition_and_in_order() -> None:
    drawn = sample_positions(1_000, 100, seed=1)
    assert len(np.unique(drawn)) == 100
    assert (np.diff(drawn) > 0).all()
    counts = np.zeros(50)
    for seed in range(400):
        counts[sample_positions(50, 10, seed=seed)] += 1
    # Each row in a fifth of the samples: 80 of 400, standard deviation 8.
    assert np.abs(counts - 80).max() < 5 * 8
    assert sample_positions(3, 10, seed=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("settings", [{"max_categories": 0}, {"sample_rows": 0}])
def test_sizes_below_one_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1; got 0"):
        reference_grids(pa.table({"x": ["a"]}), **settings)
