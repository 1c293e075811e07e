"""Counts texts and booleans by category; must never hold more texts than a batch brings and a grid has."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.column_values import integers_of, positions_array, texts_array
from airflow_mlops_provider.core.histogram import CategoryGrid
from airflow_mlops_provider.core.sketch import DistinctSketch, hash_texts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

BOOLEANS = ("false", "true")
MAX_NAME_BYTES = 128
MAX_EXAMPLES = 10
_KEPT_BYTES = 96


def category_name(text: str) -> str:
    """Return the name that a text has as a category: itself up to 128 bytes, else its beginning and a digest.

    Examples
    --------
    >>> category_name("Fiber optic")
    'Fiber optic'
    >>> len(category_name("x" * 1_000_000)), category_name("x" * 1_000_000) == category_name("x" * 1_000_001)
    (113, False)
    """
    encoded = text.encode()
    if len(encoded) <= MAX_NAME_BYTES:
        return text
    digest = blake2b(encoded, digest_size=8, person=b"category").hexdigest()
    return f"{encoded[:_KEPT_BYTES].decode(errors='ignore')}…{digest}"


def in_dictionary(array: pa.Array) -> pa.DictionaryArray:
    """Return a plain array of texts as indices into a dictionary, as it is if it has one."""
    import pyarrow as pa

    return array if isinstance(array, pa.DictionaryArray) else array.cast(pa.large_string()).dictionary_encode()


def count_texts(array: pa.DictionaryArray) -> Ints:
    """Return how often each entry of the dictionary occurs: perhaps never; a text or null may have several entries."""
    import numpy as np

    indices = array.indices.drop_null() if array.indices.null_count else array.indices
    return np.bincount(integers_of(indices), minlength=len(array.dictionary))


class CategoryCounter:
    """Counts of categories.

    Parameters
    ----------
    grid : CategoryGrid
        The categories.
    """

    def __init__(self, grid: CategoryGrid) -> None:
        import numpy as np

        self._grid = grid
        self._counts = np.zeros(grid.n_cells, dtype=np.int64)
        self._other = 0
        self._examples: list[str] = []
        self._sketch = DistinctSketch() if grid.kind == "text" else None
        self._coded: _Coded | None = None

    def add(self, array: pa.Array) -> int:
        """Count a plain array of the grid's kind, and return the number of nulls in it."""
        if not len(array):
            return 0
        if self._sketch is None:
            values = array.drop_null() if array.null_count else array
            self._counts += (values.false_count, values.true_count)
            return int(array.null_count)
        array = in_dictionary(array)
        # Batches of a file share a dictionary, whose texts are then looked up once.
        if self._coded is None or not self._coded.entries.equals(array.dictionary):
            self._coded = _Coded.of(array.dictionary, self._grid)
        return len(array) - self._add_texts(self._coded, count_texts(array), self._sketch)

    def counts(self) -> dict[str, Any]:
        """Return what was counted so far, by the names of ``ColumnProfile``."""
        import numpy as np

        cells = np.flatnonzero(self._counts)
        return {
            "cells": tuple(cells.tolist()),
            "counts": tuple(self._counts[cells].tolist()),
            "other": self._other,
            "other_examples": tuple(self._examples),
            "registers": None if self._sketch is None else self._sketch.to_bytes(),
        }

    def _add_texts(self, coded: _Coded, times: Ints, sketch: DistinctSketch) -> int:
        """Count texts so many times each, and return how many that are in all."""
        import numpy as np

        times = np.where(coded.is_null, 0, times)
        seen = times > 0
        sketch.add(coded.hashes[seen])
        known = seen & (coded.cells >= 0)
        np.add.at(self._counts, coded.cells[known], times[known])
        others = seen & (coded.cells < 0)
        self._other += int(times[others].sum())
        if self._grid.complete and others.any():
            self._examples = sorted({*self._examples, *_first_names(coded, others)})[:MAX_EXAMPLES]
        return int(times.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Coded:
    """The entries of one dictionary: their cells (-1: none) and hashes, and which are null or long."""

    entries: pa.Array
    cells: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    is_null: NDArray[np.bool_]
    is_long: NDArray[np.bool_]

    @classmethod
    def of(cls, entries: pa.Array, grid: CategoryGrid) -> _Coded:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = entries.cast(pa.large_string())
        is_null = np.zeros(len(texts), dtype=np.bool_)
        if texts.null_count:
            is_null = _flags(texts.is_null())
            texts = texts.fill_null("")
        found = pc.index_in(texts, value_set=texts_array(grid.categories))
        cells = np.where(_flags(found.is_valid()), integers_of(found), -1)
        is_long = integers_of(pc.binary_length(texts)) > MAX_NAME_BYTES
        if is_long.any() and grid.categories:
            numbers = {name: number for number, name in enumerate(grid.categories)}
            for row in np.flatnonzero(is_long).tolist():
                cells[row] = numbers.get(category_name(texts[row].as_py()), -1)
        return cls(entries=entries, cells=cells, hashes=hash_texts(texts), is_null=is_null, is_long=is_long)


def _flags(array: pa.BooleanArray) -> NDArray[np.bool_]:
    import numpy as np
    import pyarrow as pa

    return integers_of(array.cast(pa.uint8())).astype(np.bool_)


def _first_names(coded: _Coded, chosen: NDArray[np.bool_]) -> list[str]:
    """Return the first names in sort order; long ones are no names, and their shortened forms would sort otherwise."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = coded.entries.take(positions_array(np.flatnonzero(chosen & ~coded.is_long))).cast(pa.large_string())
    first = pc.select_k_unstable(texts, k=MAX_EXAMPLES, sort_keys=[("texts", "ascending")])
    names: list[str] = texts.take(first).to_pylist()
    return names
