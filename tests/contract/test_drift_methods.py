"""What every drift method promises, found by listing the folder: a new method is checked without a line here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass
from math import inf, isfinite
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.catalog import load, names
from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, DriftMethod, Effect, resolve_method
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profile_pairs import cells_of
from airflow_mlops_provider.core.profiler import Profiler
from airflow_mlops_provider.core.reference_grids import reference_grids

UNIT_TESTS = Path(__file__).resolve().parents[1] / "unit" / "core" / "drift"
every_method = pytest.mark.parametrize("key", names("drift"))
every_method_and_kind = pytest.mark.parametrize(
    ("key", "kind"), [(key, kind) for key in names("drift") for kind in load("drift", key).kinds]
)


def build(key: str) -> DriftMethod:
    return load("drift", key)()


def draw(kind: str, n: int, shift: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "numeric":
        return rng.normal(shift, 1.0, n)
    shares = np.array([0.4, 0.3, 0.2, 0.1]) + shift * np.array([-0.1, 0.0, 0.05, 0.05])
    return rng.choice(np.array(list("abcd")), size=n, p=shares)


def counted(reference: np.ndarray, current: np.ndarray) -> CellCounts:
    tables = [pa.table({"x": pa.array(one)}) for one in (reference, current)]
    grids = reference_grids(tables[0])
    profiles = []
    for table in tables:
        profiler = Profiler(grids)
        profiler.update(table)
        profiles.append(profiler.result().column("x"))
    return cells_of(*profiles)


def constant_of(kind: str, n: int, *, other: bool = False) -> np.ndarray:
    return np.full(n, 3.0 if other else 7.0) if kind == "numeric" else np.full(n, "a")


@every_method
def test_it_is_a_frozen_dataclass_named_by_its_file(key):
    method = build(key)
    assert is_dataclass(method)
    assert isinstance(method, DriftMethod)
    assert method.key == key
    assert type(method).__name__ == "".join(word.capitalize() for word in key.split("_"))
    assert set(method.kinds) <= set(get_args(ColumnKind))
    assert method.kinds
    assert method.test in get_args(CellTest)
    assert 0.0 <= method.threshold <= method.maximum
    assert method.unit
    assert build(key) == method
    for one in fields(method):
        with pytest.raises(FrozenInstanceError):
            setattr(method, one.name, 1)


@every_method
def test_its_docstring_gives_formula_range_source_and_an_example(key):
    method = load("drift", key)
    assert "Range [0" in method.__doc__
    assert "References\n    ----------\n    .. [1]" in method.__doc__
    assert "Examples\n    --------\n    >>>" in method.__doc__
    _, _, described = method.__doc__.partition("Parameters\n    ----------\n")
    for one in fields(method):
        assert f"    {one.name} : " in described


@every_method_and_kind
def test_identical_samples_differ_by_nothing(key, kind):
    values = draw(kind, 300, 0.0, 0)
    method = build(key)
    assert method.exact(values, values.copy()) == pytest.approx(0.0, abs=1e-12)
    effect = method.from_cells(counted(values, values))
    assert effect.lower == pytest.approx(0.0, abs=1e-12)
    assert effect.value == pytest.approx(0.0, abs=1e-12)


@every_method_and_kind
def test_a_larger_shift_is_a_larger_effect(key, kind):
    reference = draw(kind, 4000, 0.0, 0)
    exact, cells = [], []
    for shift in (0.2, 0.6, 1.2):
        current = draw(kind, 3000, shift, 1)
        exact.append(build(key).exact(reference, current))
        cells.append(build(key).from_cells(counted(reference, current)).value)
    assert exact == sorted(exact)
    assert cells == sorted(cells)
    assert exact[0] > 0


@every_method_and_kind
def test_the_exact_value_lies_in_the_certified_interval(key, kind):
    method = build(key)
    sizes = [(300, 200, 0.0), (2000, 500, 0.3), (500, 4000, 1.0), (5000, 100, -0.5)]
    # Of one to four rows nearly all bins are empty.
    sizes += [(5000, m, shift) for m in (1, 2, 3, 4) for shift in (-1.0, 0.0, 0.5, 3.0)]
    for seed, (n, m, shift) in enumerate(sizes):
        reference, current = draw(kind, n, 0.0, seed), draw(kind, m, shift, seed + 100)
        exact, effect = method.exact(reference, current), method.from_cells(counted(reference, current))
        assert effect.lower - 1e-9 <= exact <= effect.upper + 1e-9
        assert 0.0 <= effect.lower <= effect.value <= effect.upper <= method.maximum


@every_method_and_kind
@settings(max_examples=15)
@given(n=st.sampled_from([1500, 5000]), m=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_the_interval_holds_the_exact_value_of_a_handful_of_rows_too(key, kind, n, m, seed):
    rng = np.random.default_rng(seed)
    if kind == "numeric":
        # Half a value of three is a larger share than a bin of such a reference, whose edges lie in wide cells.
        reference, current = np.round(rng.normal(size=n), 2), np.round(rng.normal(size=m), 2)
    else:
        reference, current = draw(kind, n, 0.0, seed), draw(kind, m, 1.0, seed + 1)
    exact, effect = build(key).exact(reference, current), build(key).from_cells(counted(reference, current))
    assert effect.lower - 1e-9 <= exact <= effect.upper * (1 + 1e-9) + 1e-9


@every_method_and_kind
@settings(max_examples=15)
@given(data=st.data())
def test_any_counts_give_a_finite_value_in_range(key, kind, data):
    size = data.draw(st.integers(1, 12))
    counts = st.lists(st.integers(0, 10**9), min_size=size, max_size=size).filter(any)
    reference, current = np.array(data.draw(counts)), np.array(data.draw(counts))
    lower = upper = None
    if kind == "numeric":
        edges = sorted(data.draw(st.sets(st.floats(-1e300, 1e300), min_size=size + 1, max_size=size + 1)))
        lower, upper = np.array(edges[:-1]), np.array(edges[1:])
        single = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
        upper = np.where(single, lower, upper)
    cells = CellCounts(
        reference=reference,
        current=current,
        lower=lower,
        upper=upper,
        labels=tuple(map(str, range(size))) if lower is None else (),
        reference_std=data.draw(st.floats(1e-3, 1e300) | st.none()) if lower is not None else None,
    )
    effect = build(key).from_cells(cells)
    assert isfinite(effect.value)
    assert 0.0 <= effect.lower <= effect.value <= effect.upper <= build(key).maximum + 1e-12
    if (reference == current).all():
        assert effect.value == pytest.approx(0.0, abs=1e-9)


@every_method
def test_it_is_symmetric_where_it_says_so(key):
    method = build(key)
    kind = method.kinds[-1]
    reference, current = draw(kind, 500, 0.0, 0), draw(kind, 800, 0.8, 1)
    forth, back = method.exact(reference, current), method.exact(current, reference)
    assert (forth == pytest.approx(back, rel=1e-9)) == method.symmetric


@every_method_and_kind
def test_the_order_of_rows_does_not_matter_and_input_stays_as_it_is(key, kind):
    reference, current = draw(kind, 400, 0.0, 0), draw(kind, 300, 0.4, 1)
    before = reference.copy(), current.copy()
    value = build(key).exact(reference, current)
    shuffled = np.random.default_rng(2).permutation(current)
    assert build(key).exact(reference[::-1], shuffled) == pytest.approx(value, rel=1e-12)
    assert (reference == before[0]).all()
    assert (current == before[1]).all()


@every_method_and_kind
def test_its_effect_is_plain_json_and_deterministic(key, kind):
    cells = counted(draw(kind, 400, 0.0, 0), draw(kind, 300, 0.4, 1))
    effect = build(key).from_cells(cells)
    assert isinstance(effect, Effect)
    assert effect == build(key).from_cells(cells)
    found = effect.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@every_method_and_kind
def test_empty_samples_are_refused(key, kind):
    values = draw(kind, 10, 0.0, 0)
    for pair in ((values[:0], values), (values, values[:0])):
        with pytest.raises(InputError, match="empty"):
            build(key).exact(*pair)


@every_method_and_kind
def test_one_row_and_constant_columns_have_a_value(key, kind):
    for reference, current in [
        (constant_of(kind, 50), constant_of(kind, 1)),
        (constant_of(kind, 1), constant_of(kind, 50)),
        (draw(kind, 50, 0.0, 0), constant_of(kind, 1)),
    ]:
        exact, effect = build(key).exact(reference, current), build(key).from_cells(counted(reference, current))
        assert isfinite(exact)
        assert effect.lower - 1e-9 <= exact or effect.upper == inf
    assert build(key).exact(constant_of(kind, 50), constant_of(kind, 9)) == 0.0


@pytest.mark.parametrize("key", [key for key in names("drift") if "numeric" in load("drift", key).kinds])
def test_missing_and_infinite_numbers_are_refused(key):
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match="not finite"):
            build(key).exact(np.array([1.0, 2.0]), np.array([1.0, bad]))


@pytest.mark.parametrize("key", [key for key in names("drift") if "numeric" in load("drift", key).kinds])
def test_a_constant_that_moves_is_a_large_effect(key):
    method = build(key)
    exact = method.exact(constant_of("numeric", 200), constant_of("numeric", 200, other=True))
    effect = method.from_cells(counted(constant_of("numeric", 200), constant_of("numeric", 200, other=True)))
    assert exact > max(method.threshold, 0.5)
    assert effect.value > max(method.threshold, 0.5)


@every_method
def test_it_can_be_written_as_a_key_or_a_mapping(key):
    assert resolve_method(key).method == build(key)
    assert resolve_method({"method": key, "threshold": 0.3}).threshold == 0.3


@every_method
def test_no_parameter_takes_nonsense(key):
    for one in fields(load("drift", key)):
        for bad in (float("nan"), -1, 0, "x", True, None, 1.5):
            with pytest.raises(InputError, match=one.name):
                resolve_method({"method": key, one.name: bad})


def test_methods_are_the_files_of_their_folder():
    folder = Path(sys.modules[load("drift", "psi").__module__].__file__).parent
    assert set(names("drift")) == {path.stem for path in folder.glob("*.py")} - {"__init__"}


@every_method
def test_it_has_its_own_unit_test(key):
    assert (UNIT_TESTS / f"test_{key}.py").is_file()


def test_constructing_all_methods_and_a_policy_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from airflow_mlops_provider.core.catalog import load, names\n"
        "from airflow_mlops_provider.core.drift_policy import DriftPolicy\n"
        "[load('drift', key)() for key in names('drift')]\n"
        "DriftPolicy(per_column={'a': {'method': 'psi', 'threshold': 0.25}})\n"
        "DriftPolicy.evidently_defaults(), DriftPolicy.nannyml_defaults()\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'scipy', 'pyarrow', 'mlflow', 'airflow', 'great_expectations'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
