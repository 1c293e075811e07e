"""What a profile says of its columns."""

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import NoGrid
from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile
from airflow_mlops_provider.core.profiler import profile_table


def test_quantiles_of_few_values_are_exact() -> None:
    column = profile_table(pa.table({"x": [1.0, 2.0, 2.0, 10.0, None, 1.0]})).column("x")
    assert column.quantiles([0.0, 0.5, 0.8, 1.0]) == (1.0, 2.0, 2.0, 10.0)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_quantiles_beyond_0_to_1_are_refused(p: float) -> None:
    column = profile_table(pa.table({"x": [1.0, 2.0]})).column("x")
    with pytest.raises(InputError, match="between 0 and 1"):
        column.quantiles([p])


def test_categories_have_neither_moments_nor_quantiles() -> None:
    column = profile_table(pa.table({"x": ["a", "b"]})).column("x")
    assert (column.moments(), column.quantiles([0.5])) == (None, None)


def test_distinct_values_are_counted_where_each_has_its_cell() -> None:
    table = pa.table({"few": [1, 2] * 50, "text": ["a", "b", None, "c"] * 25, "float": [i / 7 for i in range(100)]})
    profile = profile_table(table)
    assert profile.column("few").distinct == 2
    assert profile.column("text").distinct == 3
    assert profile.column("float").distinct is None
    # Values between those of the reference are not told apart.
    assert profile_table(pa.table({"few": [1.5, 1.6]}), grids=profile.grids).column("few").distinct is None


def test_distinct_texts_beyond_the_grid_are_estimated() -> None:
    profile = profile_table(pa.table({"id": [f"customer-{i}" for i in range(20_000)]}))
    assert profile.column("id").distinct == pytest.approx(20_000, rel=0.15)


@pytest.mark.parametrize(
    ("values", "constant"),
    [([5.0, 5.0, None], True), ([5.0, 5.1], False), (["a", "a"], True), (["a", "b"], False), ([None], False)],
)
def test_a_constant_column_is_known_as_such(values: list[object], constant: bool) -> None:
    assert profile_table(pa.table({"x": values})).column("x").is_constant is constant


def test_a_constant_text_that_is_new_is_not_known_to_be_constant() -> None:
    grids = profile_table(pa.table({"x": ["a", "a"]})).grids
    assert not profile_table(pa.table({"x": ["b", "c"]}), grids=grids).column("x").is_constant


def test_one_text_without_a_cell_is_constant() -> None:
    grids = profile_table(pa.table({"x": ["a", "b"]})).grids
    assert profile_table(pa.table({"x": ["c"] * 9}), grids=grids).column("x").is_constant
    assert not profile_table(pa.table({"x": ["c", "a"]}), grids=grids).column("x").is_constant


def test_an_unknown_column_is_refused_with_the_known_ones() -> None:
    profile = profile_table(pa.table({"x": [1.0], "y": [2.0]}))
    with pytest.raises(InputError, match=r"'z'.*x, y"):
        profile.column("z")


def test_columns_must_be_sorted_and_different() -> None:
    x, y = (ColumnProfile(name=name, grid=NoGrid()) for name in "xy")
    for columns in ((y, x), (x, x)):
        with pytest.raises(InputError, match="sorted"):
            DatasetProfile(rows=0, columns=columns)
