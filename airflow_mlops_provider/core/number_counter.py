"""Counts numbers into the cells of a grid, fast; must give the same counts however the values are cut into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.column_values import decimals_of, integers_of, is_whole, numbers_of
from airflow_mlops_provider.core.histogram import AsinhGrid, NumericGrid, ValueGrid
from airflow_mlops_provider.core.sketch import DistinctSketch, hash_floats, hash_integers

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

# Values worked on at once: 1 MB, which fits the cache of a core, and few enough pieces that threads seldom meet at the
# interpreter's lock.
_CHUNK = 1 << 17
# Integers within such a range are counted one by one before their cells are looked up.
_NARROW = 1 << 16


class NumberCounter:
    """Counts of numbers, which are not kept themselves.

    Parameters
    ----------
    grid : AsinhGrid or ValueGrid
        The cells.
    """

    def __init__(self, grid: NumericGrid) -> None:
        import numpy as np

        self._grid = grid
        self._counts = np.zeros(grid.n_cells, dtype=np.int64)
        self._sketch = DistinctSketch() if isinstance(grid, AsinhGrid) and grid.whole else None
        self._buffers: tuple[Floats, Ints] | None = None
        self._nans = self._above = self._below = 0
        self._minimum: float | int | None = None
        self._maximum: float | int | None = None

    def add(self, array: pa.Array) -> None:
        """Count a plain array without nulls, of a kind in ``NUMBER_KINDS``."""
        if not len(array):
            return
        if is_whole(array.type):
            self._add_integers(array)
        elif isinstance(self._grid, ValueGrid):
            self._add_repeating(array)
        else:
            values = numbers_of(array)
            for start in range(0, len(values), _CHUNK):
                self._add_floats(values[start : start + _CHUNK])

    def counts(self) -> dict[str, Any]:
        """Return what was counted so far, by the names of ``ColumnProfile``."""
        import numpy as np

        cells = np.flatnonzero(self._counts)
        return {
            "nans": self._nans,
            "positive_infinities": self._above,
            "negative_infinities": self._below,
            "cells": tuple(cells.tolist()),
            "counts": tuple(self._counts[cells].tolist()),
            "minimum": self._minimum,
            "maximum": self._maximum,
            "registers": None if self._sketch is None else self._sketch.to_bytes(),
        }

    def _add_integers(self, array: pa.Array) -> None:
        import numpy as np

        values = integers_of(array)
        low, high = int(values.min()), int(values.max())
        if high - low < _NARROW:
            # In a type as wide as need be, since the difference can exceed a narrow one.
            wide = np.dtype(np.uint64 if values.dtype == np.uint64 else np.int64)
            first = wide.type(low)
            counts = np.zeros(high - low + 1, dtype=np.int64)
            for start in range(0, len(values), _CHUNK):
                offsets = (values[start : start + _CHUNK].astype(wide, copy=False) - first).astype(np.intp, copy=False)
                counts += np.bincount(offsets, minlength=len(counts))
            found = np.flatnonzero(counts)
            self._add_distinct(found.astype(wide) + first, counts[found])
        else:
            for start in range(0, len(values), _CHUNK):
                self._add_distinct(values[start : start + _CHUNK], None)

    def _add_distinct(self, integers: NDArray[Any], times: Ints | None) -> None:
        """Count integers, each so many times, or once."""
        if self._sketch is not None:
            self._sketch.add(hash_integers(integers))
        self._extend(int(integers.min()), int(integers.max()))
        self._count(integers.astype("float64"), times)

    def _add_repeating(self, array: pa.Array) -> None:
        """Count each distinct value first: on a reference of few values that is faster than a search for each row."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if array.type == pa.float16():
            array = array.cast(pa.float32())
        counted = pc.value_counts(array)
        values, times = decimals_of(counted.field("values")), integers_of(counted.field("counts"))
        for start in range(0, len(values), _CHUNK):
            self._add_floats(values[start : start + _CHUNK], times[start : start + _CHUNK])

    def _add_floats(self, values: Floats, times: Ints | None = None) -> None:
        import math

        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            values, times = self._take_special(values, times)
            if not len(values):
                return
            low, high = float(values.min()), float(values.max())
        self._extend(low, high)
        if self._sketch is not None:
            self._sketch.add(hash_floats(values))
        self._count(values, times)

    def _take_special(self, values: Floats, times: Ints | None) -> tuple[Floats, Ints | None]:
        """Count NaN and infinities, and return the others."""
        import numpy as np

        weights = np.ones(len(values), dtype=np.int64) if times is None else times
        self._nans += int(weights[np.isnan(values)].sum())
        self._above += int(weights[values == np.inf].sum())
        self._below += int(weights[values == -np.inf].sum())
        finite = np.isfinite(values)
        return values[finite], None if times is None else times[finite]

    def _count(self, values: Floats, times: Ints | None) -> None:
        import numpy as np

        if times is not None:
            np.add.at(self._counts, self._grid.cells(values), times)
            return
        if isinstance(self._grid, AsinhGrid):
            if self._buffers is None:
                self._buffers = (np.empty(_CHUNK), np.empty(_CHUNK, np.intp))
            cells = self._grid.cells(values, buffers=self._buffers)
        else:
            cells = self._grid.cells(values)
        self._counts += np.bincount(cells, minlength=len(self._counts))

    def _extend(self, low: float | int, high: float | int) -> None:
        low, high = _canonical(low), _canonical(high)
        self._minimum = low if self._minimum is None else min(self._minimum, low)
        self._maximum = high if self._maximum is None else max(self._maximum, high)


def _canonical(value: float | int) -> float | int:
    """Write equal numbers alike, so that no profile depends on which came first: floats unless that loses digits."""
    # Adding 0.0 takes the sign off a negative zero.
    as_float = float(value) + 0.0
    return as_float if as_float == value else value
