"""Fast counting of numbers gives what looking up one value after the other gives."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core import number_counter
from airflow_mlops_provider.core.histogram import AsinhGrid, ValueGrid, numeric_grid
from airflow_mlops_provider.core.number_counter import NumberCounter

RNG = np.random.default_rng(2)
GRIDS = [
    ValueGrid(kind="numeric", values=(-3.0, 0.0, 2.5, 7.0)),
    AsinhGrid(kind="numeric", centre=3.0, scale=2.0, whole=True),
    AsinhGrid(kind="numeric", centre=3.0, scale=20.0, splits=(0.0, 5e-324, 2.5, 6.0)),
    numeric_grid(np.where(RNG.random(5_000) < 0.5, 0.0, RNG.lognormal(size=5_000))),
]
ARRAYS = {
    "small integers": pa.array(RNG.integers(-5, 9, 3_000)),
    "int8": pa.array(RNG.integers(-128, 128, 3_000).astype(np.int8)),
    "uint8": pa.array(RNG.integers(0, 256, 3_000).astype(np.uint8)),
    "wide integers": pa.array(RNG.integers(-(2**63), 2**63, 3_000)),
    "top of uint64": pa.array(RNG.integers(2**64 - 50, 2**64, 3_000, dtype=np.uint64)),
    "wide uint64": pa.array(RNG.integers(0, 2**64, 3_000, dtype=np.uint64)),
    "just a narrow range": pa.array([-40_000, 25_535]),
    "just a wide range": pa.array([-40_000, 25_536]),
    "floats": pa.array(RNG.normal(3, 4, 3_000)),
    "repeating floats": pa.array(RNG.integers(-10, 20, 3_000) / 2),
    "one": pa.array([2.5]),
    "none": pa.array([], pa.float64()),
}


@pytest.mark.parametrize("grid", GRIDS, ids=["values", "whole", "splits", "zero-inflated"])
@pytest.mark.parametrize("name", ARRAYS)
def test_counts_are_those_of_one_value_at_a_time(grid: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_counter, "_CHUNK", 1_000)  # so that there are several
    array = ARRAYS[name]
    counter = NumberCounter(grid)
    counter.add(array)
    counter.add(array.slice(len(array) // 3))
    values = [*array.to_pylist(), *array.slice(len(array) // 3).to_pylist()]
    expected = Counter(int(grid.cells(np.array([float(value)]))[0]) for value in values)
    found = counter.counts()
    assert dict(zip(found["cells"], found["counts"], strict=True)) == dict(expected)
    assert (found["minimum"], found["maximum"]) == (min(values, default=None), max(values, default=None))


def test_integers_and_equal_floats_leave_the_same_registers() -> None:
    grid = AsinhGrid(kind="numeric", centre=0.0, scale=1.0, whole=True)
    counters = [NumberCounter(grid) for _ in range(3)]
    numbers = np.arange(100_000) * 7
    counters[0].add(pa.array(numbers))
    counters[1].add(pa.array(numbers.astype(float)))
    for start in range(0, len(numbers), 5_000):  # a narrow range each
        counters[2].add(pa.array(numbers[start : start + 5_000]))
    assert counters[0].counts() == counters[1].counts() == counters[2].counts()


def test_the_sign_of_zero_does_not_depend_on_the_order() -> None:
    grid = ValueGrid(kind="numeric", values=(0.0,))
    for values in ([-0.0, 0.0], [0.0, -0.0], [-0.0]):
        counter = NumberCounter(grid)
        counter.add(pa.array(values))
        assert str(counter.counts()["minimum"]) == "0.0"
        assert counter.counts()["cells"] == (1,)
