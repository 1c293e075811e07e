"""Two profiles in one grid say of two samples what the samples say, within the bounds of their cells."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.core.profile_pairs import OTHER_LABEL, cells_of, merge, unseen_of
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.core.reference_grids import reference_grids

SAMPLES = st.one_of(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=200),
    st.lists(st.floats(-3, 3).map(np.exp), min_size=20, max_size=200),
)


def pair(reference: object, current: object) -> tuple[DatasetProfile, DatasetProfile]:
    before, now = pa.table({"x": reference}), pa.table({"x": current})
    grids = reference_grids(before)
    return profile_table(before, grids=grids), profile_table(now, grids=grids)


def cells(reference: object, current: object) -> CellCounts | None:
    before, now = pair(reference, current)
    return cells_of(before.column("x"), now.column("x"))


def ks_bounds(found: CellCounts) -> tuple[float, float]:
    """The least and greatest distance of two empirical distribution functions with these cells."""
    f = np.cumsum(found.reference) / found.n_reference
    g = np.cumsum(found.current) / found.n_current
    f0, g0 = np.concatenate([[0], f[:-1]]), np.concatenate([[0], g[:-1]])
    single = found.lower == found.upper
    inside = np.where(single, 0, np.maximum(f - g0, g - f0))
    at_ends = np.abs(f - g).max()
    return at_ends, max(at_ends, inside.max())


@settings(max_examples=200)
@given(reference=SAMPLES, current=SAMPLES)
def test_kolmogorov_smirnov_and_wasserstein_lie_within_what_the_cells_allow(
    reference: list[float], current: list[float]
) -> None:
    found = cells(reference, current)
    assert found is not None
    assert found.lower is not None
    assert found.upper is not None
    assert np.isfinite([found.lower, found.upper]).all()
    assert (found.upper[:-1] <= found.lower[1:] + 1e-9 * np.abs(found.lower[1:])).all()
    low, high = ks_bounds(found)
    exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert low - 1e-9 <= exact <= high + 1e-9
    half = (found.upper - found.lower) / 2
    middle = found.lower + half
    from_cells = stats.wasserstein_distance(middle, middle, found.reference, found.current)
    error = float(half @ (found.reference / found.n_reference + found.current / found.n_current))
    rounding = 1e-9 * max(map(abs, [*reference, *current]))
    assert abs(from_cells - stats.wasserstein_distance(reference, current)) <= error + rounding


@pytest.mark.parametrize(
    "shape", ["normal", "lognormal", "t2", "poisson", "zero-inflated", "two tight modes", "prices"]
)
def test_on_large_samples_the_error_is_a_thousandth(shape: str) -> None:
    rng = np.random.default_rng(11)
    n = 50_000
    draw = {
        "normal": lambda shift: rng.normal(1e6 + shift, 1, n),
        "lognormal": lambda shift: rng.lognormal(shift, 2, n),
        "t2": lambda shift: rng.standard_t(2, n) + shift,
        "poisson": lambda shift: rng.poisson(3 + shift, n),
        "zero-inflated": lambda shift: np.where(rng.random(n) < 0.7 + shift / 5, 0.0, rng.lognormal(0, 1, n)),
        "two tight modes": lambda shift: rng.normal(shift, 1, n) + 1000 * (rng.random(n) < 0.5),
        "prices": lambda shift: np.round(rng.lognormal(3 + shift, 1, n), 2),
    }[shape]
    reference, current = draw(0.0), draw(0.1)
    found = cells(reference, current)
    assert found is not None
    low, high = ks_bounds(found)
    exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert low <= exact + 1e-9
    assert exact <= high + 1e-9
    assert exact - low <= 1e-3
    assert found.reference_std == pytest.approx(np.std(reference), rel=2e-3)


def test_categories_keep_the_order_of_the_reference_and_skip_what_neither_has() -> None:
    reference, current = pair(["a", "b", "b", "c"], ["c", "b", "c", None])
    found = cells_of(reference.column("x"), current.column("x"))
    assert found is not None
    assert found.labels == ("b", "a", "c")
    assert (found.reference.tolist(), found.current.tolist()) == ([2, 1, 1], [1, 0, 2])
    assert (found.ordered, found.reference_std) == (False, None)


def test_new_texts_are_left_out_of_the_shape_and_reported() -> None:
    reference, current = pair(["a", "b", "b"], ["b", "new", "newer", "new"])
    found = cells_of(reference.column("x"), current.column("x"))
    assert found is not None
    assert (found.labels, found.n_current) == (("b", "a"), 1)
    assert unseen_of(reference.column("x"), current.column("x")) == 3
    assert current.column("x").other_examples == ("new", "newer")
    assert cells(["a", "b", "b"], ["new"]) is None


def test_where_the_reference_had_rare_texts_others_are_one_cell_and_not_new() -> None:
    names = [f"id{i}" for i in range(3000)] + ["often"] * 100
    reference, current = pair(names, ["often", "id7", "unheard of"])
    found = cells_of(reference.column("x"), current.column("x"))
    assert found is not None
    assert (found.labels, found.reference.tolist(), found.current.tolist()) == (
        ("often", OTHER_LABEL),
        [100, 3000],
        [1, 2],
    )
    assert unseen_of(reference.column("x"), current.column("x")) is None
    assert current.column("x").other_examples == ()


def test_texts_that_a_later_part_of_the_reference_had_are_not_new() -> None:
    grids = reference_grids(pa.table({"x": ["a", "a"]}))
    first, second, now = (
        profile_table(pa.table({"x": values}), grids=grids) for values in (["a", "a"], ["late"], ["a", "late", "new"])
    )
    assert unseen_of(first.column("x"), now.column("x")) == 2
    reference = merge([first, second]).column("x")
    assert unseen_of(reference, now.column("x")) is None
    found = cells_of(reference, now.column("x"))
    assert found is not None
    assert (found.labels, found.reference.tolist(), found.current.tolist()) == (("a", OTHER_LABEL), [2, 1], [1, 2])


def test_a_window_as_reference_does_not_call_old_texts_new() -> None:
    names = [f"id{i}" for i in range(3000)] + ["often"] * 100
    grids = reference_grids(pa.table({"x": names}))
    before, now = (profile_table(pa.table({"x": values}), grids=grids).column("x") for values in (["often"], ["id7"]))
    assert unseen_of(before, now) is None


def test_booleans_are_categories() -> None:
    found = cells([True, True], [False, True])
    assert found is not None
    assert (found.labels, found.reference.tolist(), found.current.tolist()) == (("false", "true"), [0, 2], [1, 1])
    both_constant = cells([True], [True])
    assert both_constant is not None
    assert both_constant.labels == ("true",)


@pytest.mark.parametrize("values", [[None, None], [float("nan")], [float("inf")], []])
def test_a_side_without_values_cannot_be_compared(values: list[float | None]) -> None:
    assert cells([1.0, 2.0], pa.array(values, pa.float64())) is None
    assert cells(pa.array(values, pa.float64()), [1.0, 2.0]) is None


def test_a_constant_reference_has_no_standard_deviation_but_cells() -> None:
    found = cells([5.0, 5.0], [5.0, 6.0])
    assert found is not None
    assert found.reference_std is None
    assert (found.lower.tolist(), found.upper.tolist()) == ([5.0, 5.0], [5.0, 6.0])  # type: ignore[union-attr]  # numbers
    assert (found.reference.tolist(), found.current.tolist()) == ([2, 0], [1, 1])


def test_profiles_in_other_cells_are_neither_merged_nor_compared() -> None:
    one = profile_table(pa.table({"x": np.arange(1000.0)}))
    other = profile_table(pa.table({"x": np.arange(1000.0) * 2}))
    for together in (lambda: merge([one, other]), lambda: cells_of(one.columns[0], other.columns[0])):
        with pytest.raises(InputError, match=r"'x' were counted in different cells .*centre 500.*centre 1000"):
            together()
    renamed = profile_table(pa.table({"y": np.arange(1000.0)}))
    with pytest.raises(InputError, match="'x' and 'y'"):
        cells_of(one.columns[0], renamed.columns[0])
    with pytest.raises(InputError, match="at least one"):
        merge([])


def test_a_column_that_one_part_lacks_shows_by_its_rows() -> None:
    grids = reference_grids(pa.table({"x": [1.0, 2.0], "y": [1.0, 2.0]}))
    parts = [profile_table(pa.table(columns), grids=grids) for columns in ({"x": [1.0]}, {"x": [1.0], "y": [2.0]})]
    merged = merge(parts)
    assert (merged.rows, merged.column("x").rows, merged.column("y").rows) == (2, 2, 1)


def test_parts_that_store_a_column_differently_merge_and_say_so() -> None:
    grids = reference_grids(pa.table({"x": [1, 2, 2]}))
    parts = [profile_table(pa.table({"x": values}), grids=grids) for values in ([1, 2], [1.0, None], ["two"])]
    merged = merge(parts).column("x")
    assert (merged.types, merged.kind) == (("double", "int64", "string"), "mixed")
    assert (merged.n_counted, merged.nulls, merged.mistyped, merged.rows) == (3, 1, 1, 5)


@settings(max_examples=50)
@given(parts=st.lists(st.lists(st.none() | st.floats(), max_size=20), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative(parts: list[list[float | None]]) -> None:
    grids = reference_grids(pa.table({"x": [0.0, 1.0, 1.0, 0.0]}))
    a, b, c = (profile_table(pa.table({"x": pa.array(part, pa.float64())}), grids=grids) for part in parts)
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])]) == merge([c, a, b]) == merge([b, c, a])
