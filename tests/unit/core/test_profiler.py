"""A profile counts every row once, whatever the column holds and however the rows are cut into batches."""

import math
import warnings
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import AsinhGrid, CategoryGrid, NoGrid, ValueGrid
from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile
from airflow_mlops_provider.core.profile_pairs import merge
from airflow_mlops_provider.core.profiler import Profiler, profile_table
from airflow_mlops_provider.core.reference_grids import reference_grids

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.float64(): st.floats() | st.integers(0, 3).map(float),
    pa.float32(): st.floats(width=32) | st.sampled_from([0.5, 9.99]),
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.decimal128(12, 2): st.integers(-500, 500).map(lambda n: Decimal(n).scaleb(-2)),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=3) | st.just("x" * 200) | st.just("x" * 201),
    pa.dictionary(pa.int16(), pa.string()): st.sampled_from(["a", "b", "ü", ""]),
    pa.timestamp("us", tz="Europe/Berlin"): st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    pa.date32(): st.dates(date(1, 1, 1)),
    pa.null(): st.none(),
}


@st.composite
def tables(draw: st.DrawFn, *, types: dict[str, pa.DataType], min_rows: int = 0) -> pa.Table:
    n = draw(st.integers(min_rows, 60))
    columns = {}
    for name, kind in types.items():
        values = draw(st.lists(st.none() | VALUES[kind], min_size=n, max_size=n))
        if pa.types.is_dictionary(kind):
            columns[name] = pa.array(values, kind.value_type).dictionary_encode().cast(kind)
        else:
            columns[name] = pa.array(values, kind)
    return pa.table(columns)


TYPES = {str(kind): kind for kind in VALUES}


def in_batches(table: pa.Table, grids: Any, sizes: list[int]) -> DatasetProfile:
    profiler = Profiler(grids)
    start = 0
    while start < table.num_rows:
        size = sizes[start % len(sizes)]
        for batch in table.slice(start, size).to_batches():
            profiler.update(batch)
        start += size
    return profiler.result()


@settings(max_examples=60)
@given(
    reference=tables(types=TYPES),
    current=tables(types=TYPES, min_rows=1),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    cut=st.integers(0, 60),
)
def test_a_profile_does_not_depend_on_batches_nor_on_partitions(
    reference: pa.Table, current: pa.Table, sizes: list[int], cut: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grids = reference_grids(reference)
        whole = profile_table(current, grids=grids)
        assert in_batches(current, grids, sizes) == whole
        parts = [profile_table(part, grids=grids) for part in (current.slice(0, cut), current.slice(cut))]
    assert merge(parts) == merge(parts[::-1]) == whole
    assert DatasetProfile.from_json(whole.to_json()) == whole
    for column in whole.columns:
        accounted = column.nulls + column.nans + column.positive_infinities + column.negative_infinities
        if not isinstance(column.grid, NoGrid):
            assert accounted + column.mistyped + column.n_counted == column.rows == whole.rows


@settings(max_examples=40)
@given(table=tables(types=TYPES, min_rows=1))
def test_a_reference_fits_its_own_grids(table: pa.Table) -> None:
    for column in profile_table(table).columns:
        assert column.mistyped == 0
        if isinstance(column.grid, ValueGrid):
            assert all(cell % 2 for cell in column.cells)
        if isinstance(column.grid, CategoryGrid) and column.grid.complete:
            assert column.other == 0
        moments = column.moments()
        assert moments is None or not math.isnan(moments.mean)


def test_the_counts_of_a_real_table_are_those_of_pandas(telco: Path) -> None:
    frame = pd.read_csv(telco, keep_default_na=True)
    profile = profile_table(csv.read_csv(telco, convert_options=csv.ConvertOptions(strings_can_be_null=True)))
    assert profile.names == tuple(sorted(frame.columns))
    for name, column in frame.items():
        found = profile.column(str(name))
        assert found.missing == column.isna().sum()
        if isinstance(found.grid, CategoryGrid):
            counts = dict(zip((found.grid.categories[i] for i in found.cells), found.counts, strict=True))
            assert counts == column.value_counts().to_dict()
        elif isinstance(found.grid, ValueGrid):
            counts = dict(zip((found.grid.values[i // 2] for i in found.cells), found.counts, strict=True))
            assert counts == column.value_counts().to_dict()
        if not isinstance(found.grid, CategoryGrid):
            moments = found.moments()
            assert moments is not None
            assert (found.minimum, found.maximum) == (column.min(), column.max())
            assert abs(moments.mean - column.mean()) <= moments.mean_error + 1e-9
            assert abs(moments.std - column.std(ddof=0)) <= moments.std_error + 1e-9
            assert moments.std == pytest.approx(column.std(ddof=0), rel=1e-3)
        if found.distinct is not None:
            assert found.distinct == column.nunique()


def only(column: Any, *, like: Any = None) -> ColumnProfile:
    """Profile one column, in the grid of another."""
    grids = reference_grids(pa.table({"x": column if like is None else like}))
    return profile_table(pa.table({"x": column}), grids=grids).column("x")


def test_special_floats_and_nulls_are_counted_apart() -> None:
    found = only(pa.array([None, math.nan, math.inf, math.inf, -math.inf, 1.0, 2.0, 1.0, 2.0]))
    assert (found.nulls, found.nans, found.positive_infinities, found.negative_infinities) == (1, 1, 2, 1)
    assert (found.missing, found.n_counted, found.rows) == (2, 4, 9)
    assert (found.minimum, found.maximum) == (1.0, 2.0)


@pytest.mark.parametrize("grid", ["values", "asinh"])
def test_special_floats_are_counted_in_every_grid(grid: str) -> None:
    like = pa.array([1.0, 1.0] if grid == "values" else np.arange(1000) / 7)
    found = only(pa.array([math.nan, math.inf, -math.inf, -math.inf, 5.0]), like=like)
    assert isinstance(found.grid, ValueGrid if grid == "values" else AsinhGrid)
    assert (found.nans, found.positive_infinities, found.negative_infinities, found.n_counted) == (1, 1, 2, 1)


def test_an_integer_column_that_becomes_float_is_the_same_column() -> None:
    values = [1, 5, 5, 1, 900, 900]
    as_float = only(pa.array([float(value) for value in values]), like=pa.array(values))
    as_int = only(pa.array(values), like=pa.array(values))
    assert (as_float.cells, as_float.counts, as_float.kind) == (as_int.cells, as_int.counts, "numeric")
    assert (as_int.types, as_float.types) == (("int64",), ("double",))


def test_a_price_is_the_same_as_float32_float64_and_decimal() -> None:
    prices = pa.array([9.99, 0.1, 0.1, 9.99])
    for kind in (pa.float32(), pa.float64()):
        for other in (pa.float32(), pa.float64(), pa.decimal32(5, 2), pa.decimal64(5, 2), pa.decimal128(5, 2)):
            found = only(prices.cast(other), like=prices.cast(kind))
            assert (found.cells, found.counts) == ((1, 3), (2, 2)), (kind, other)


def test_a_column_that_becomes_text_is_counted_as_mistyped_and_keeps_its_own_type() -> None:
    found = only(pa.array(["1", "2", None]), like=pa.array([1, 2, 2]))
    assert (found.kind, found.types, found.mistyped, found.nulls, found.n_counted) == ("text", ("string",), 2, 1, 0)
    assert found.minimum is None


def test_a_column_without_values_goes_with_any_kind() -> None:
    found = only(pa.nulls(3), like=pa.array(["a", "a"]))
    assert (found.kind, found.nulls, found.mistyped) == ("null", 3, 0)
    empty_first = only(pa.array([1.5]), like=pa.nulls(3))
    assert (empty_first.kind, empty_first.grid, empty_first.rows) == ("numeric", NoGrid(), 1)


def test_instants_compare_across_zones_and_not_with_local_times() -> None:
    instants = pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 1, 2, 2)], pa.timestamp("us", tz="UTC"))
    found = only(instants.cast(pa.timestamp("ns", tz="Asia/Tokyo")), like=instants)
    assert (found.kind, found.mistyped, found.cells) == ("datetimetz", 0, (1, 3))
    local = only(instants.cast(pa.timestamp("us")), like=instants)
    assert (local.kind, local.mistyped) == ("datetime", 4)


def test_dates_compare_with_local_times() -> None:
    found = only(pa.array([datetime(2024, 1, 1)]), like=pa.array([date(2024, 1, 1), date(2024, 1, 1)]))
    assert (found.kind, found.cells) == ("datetime", (1,))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([timedelta(1), None, timedelta(1)]),
        pa.array([date(2024, 1, 1), None, date(2024, 1, 1)]),
        pa.array([Decimal("1.5"), None, Decimal("1.5")]),
        pa.array([1.5, None, 1.5], pa.float16()),
        pa.array([3, None, 3], pa.time32("s")),
        pa.array([3, None, 3]).dictionary_encode(),
        pa.array(["3", None, "3"], pa.string_view()),
        pa.array(["3", None, "3"]).dictionary_encode(),
        pa.array([True, None, True]),
        pa.array([True, None, True]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_a_constant_column_is_one_cell_in_every_type(values: pa.Array) -> None:
    found = only(values)
    assert (found.counts, found.nulls, found.is_constant, found.distinct) == ((2,), 1, True, 1.0)


@pytest.mark.parametrize("values", [[[1], None, [2]], [b"x", None, b"y"], [{"a": 1}, None, {"a": 2}]])
def test_types_without_order_or_names_are_recorded_and_not_counted(values: list[Any]) -> None:
    found = only(pa.array(values))
    assert (found.kind, found.nulls, found.rows, found.n_counted) == ("unsupported", 1, 3, 0)


def test_nothing_is_a_profile_of_no_rows() -> None:
    grids = reference_grids(pa.table({"x": [1.0, 2.0], "plan": ["a", "b"]}))
    nothing = Profiler(grids).result()
    assert (nothing.rows, nothing.names) == (0, ("plan", "x"))
    assert [column.n_counted for column in nothing.columns] == [0, 0]
    assert merge([nothing, nothing]) == nothing == DatasetProfile.from_json(nothing.to_json())
    assert nothing.column("x").moments() is None


def test_a_missing_column_has_no_rows_and_a_new_one_no_grid() -> None:
    grids = reference_grids(pa.table({"x": [1.0, 2.0]}))
    found = profile_table(pa.table({"y": ["a", None]}), grids=grids)
    assert (found.column("x").rows, found.column("x").types) == (0, ())
    assert (found.column("y").grid, found.column("y").nulls, found.column("y").kind) == (NoGrid(), 1, "text")


def test_the_extremes_of_big_integers_are_exact() -> None:
    found = only(pa.array([2**63 - 1, -(2**63) + 1, 5, 5]))
    assert (found.minimum, found.maximum) == (-(2**63) + 1, 2**63 - 1)
    assert DatasetProfile.from_json(DatasetProfile(rows=4, columns=(found,)).to_json()).columns == (found,)


def test_the_distinct_count_of_identifiers_is_estimated_exactly_beyond_float64() -> None:
    ids = pa.array(range(2**60, 2**60 + 50_000))
    assert only(ids).distinct == pytest.approx(50_000, rel=0.15)
    # As float64, which has one value in 256 there.
    assert len(np.unique(np.arange(2**60, 2**60 + 50_000).astype(float))) < 200


def test_a_huge_range_raises_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = only(pa.array([1e308, -1e308, 5e-324, 0.0, 1.0, 2.0, 1.7976931348623157e308]))
        moments = found.moments()
    assert moments is not None
    assert found.n_counted == 7
    assert math.isfinite(moments.mean)


def test_text_that_is_no_utf8_is_refused_with_its_column() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    with pytest.raises(InputError, match=r"'x'.*UTF-8"):
        only(broken)
    with pytest.raises(InputError, match=r"'x'.*UTF-8"):
        only(broken, like=pa.array(["a", "a"]))


def test_a_name_given_twice_is_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(InputError, match="different names"):
        Profiler({}).update(twice)
    with pytest.raises(InputError, match="different names"):
        profile_table(twice)


def test_a_dictionary_of_lists_is_counted_by_its_nulls() -> None:
    lists = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 0]), pa.array([[1], None]))
    found = profile_table(pa.table({"x": lists})).column("x")
    assert (found.rows, found.nulls, found.kind) == (4, 2, "unsupported")
