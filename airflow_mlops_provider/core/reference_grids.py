"""Chooses the cells of each column from a reference; must never look at the sample that will be compared with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.category_counter import BOOLEANS, category_name, count_texts, in_dictionary
from airflow_mlops_provider.core.column_values import (
    NUMBER_KINDS,
    Kind,
    decimals_of,
    is_whole,
    kind_of,
    numbers_of,
    plain,
    positions_array,
)
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import CategoryGrid, Grid, NoGrid, NumericGrid, ValueGrid, numeric_grid

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MAX_CATEGORIES = 1_000
SAMPLE_ROWS = 100_000
# Shared by the text columns of a data set, so that its profile stays small however many columns it has.
MAX_NAMES_BYTES = 120_000
# Rarer texts of a column that has more than its grid holds tell nothing of its shape and may identify a person.
_MIN_COUNT = 5
_NARROW_FLOATS = ("halffloat", "float")
# Texts counted exactly; beyond it, the random sample says which are frequent.
_MAX_EXACT_TEXTS = 20_000


def reference_grids(
    table: pa.Table, *, max_categories: int = MAX_CATEGORIES, sample_rows: int = SAMPLE_ROWS, seed: int = 0
) -> dict[str, Grid]:
    """Choose the grid of each column of a reference.

    Parameters
    ----------
    table : pyarrow.Table
        The reference.
    max_categories : int, default 1000
        Most categories of a text column, at least 1.
    sample_rows : int, default 100000
        Size of the random sample of rows by which the cells of numbers are chosen, at least 1.
    seed : int, default 0
        Of the sample.

    Returns
    -------
    dict of str to Grid
        In the order of the columns. Columns of nulls alone, of bytes and of nested types get a ``NoGrid``.

    Raises
    ------
    InputError
        A name is repeated, a size is below 1, or a text is not in UTF-8.

    Examples
    --------
    >>> import pyarrow as pa
    >>> grids = reference_grids(pa.table({"plan": ["b", "b", "a"], "n": [1, 1, 2], "tags": [[1], [], None]}))
    >>> grids["plan"].categories, grids["n"].values, type(grids["tags"]).__name__
    (('b', 'a'), (1.0, 2.0), 'NoGrid')
    """
    names = table.schema.names
    if len(set(names)) != len(names):
        raise InputError(f"The columns of a reference must have different names; got {names!r}.")
    positions = sample_positions(table.num_rows, sample_rows, seed=seed)
    budget = names_budget(table.schema)
    grids = {}
    for name, column in zip(names, table.columns, strict=True):
        builder = GridBuilder(name, column.type, positions=positions, max_categories=max_categories, names_bytes=budget)
        for chunk in column.chunks:
            builder.add(chunk)
        grids[name] = builder.grid()
    return grids


def names_budget(schema: pa.Schema) -> int:
    """Return how many bytes the category names of each text column may take in JSON."""
    return MAX_NAMES_BYTES // max(1, sum(kind_of(kind) == "text" for kind in schema.types))


def sample_positions(n_rows: int, size: int, *, seed: int) -> Ints:
    """Draw rows at random, without repetition.

    Returns
    -------
    int array, shape (min(n_rows, size),)
        Positions of the rows, in order.

    Raises
    ------
    InputError
        `size` is below 1.
    """
    import numpy as np

    if size < 1:
        raise InputError(f"sample_rows must be at least 1; got {size}.")
    if n_rows <= size:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, size=size, replace=False, shuffle=False))


class GridBuilder:
    """Chooses the grid of one column from its arrays, in memory that does not grow with their number.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    kind : pyarrow.DataType
        Its type.
    positions : int array
        Rows of the random sample, from `sample_positions`.
    max_categories : int
        As for `reference_grids`.
    names_bytes : int
        Most bytes that the names of its categories take in JSON.
    """

    def __init__(
        self,
        name: str,
        kind: pa.DataType,
        *,
        positions: Ints,
        max_categories: int = MAX_CATEGORIES,
        names_bytes: int = MAX_NAMES_BYTES,
    ) -> None:
        if max_categories < 1:
            raise InputError(f"max_categories must be at least 1; got {max_categories}.")
        self._name = name
        self._type = str(kind)
        self._kind: Kind = kind_of(kind)
        self._whole = is_whole(kind)
        self._positions = positions
        self._max_categories = max_categories
        self._names_bytes = names_bytes
        self._rows = 0
        self._numbers: list[pa.Array] = []
        self._texts: Counter[str] | None = Counter()
        self._sampled_texts: Counter[str] = Counter()

    def add(self, array: pa.Array) -> None:
        """Look at the next rows."""
        if self._kind in NUMBER_KINDS:
            self._numbers.append(plain(self._sampled(array)).drop_null())
        elif self._kind == "text":
            self._add_texts(array)
        self._rows += len(array)

    def grid(self) -> Grid:
        """Return the grid for the rows seen, perhaps none."""
        if self._kind in NUMBER_KINDS:
            grid = self._numeric_grid(decimals_of)
            if self._type in _NARROW_FLOATS and not isinstance(grid, ValueGrid):
                # Only values with cells of their own are looked up as decimals.
                grid = self._numeric_grid(numbers_of)
            return grid
        if self._kind == "boolean":
            return CategoryGrid(kind="boolean", categories=BOOLEANS, complete=True)
        if self._kind == "text":
            return self._category_grid()
        return NoGrid()

    def _numeric_grid(self, read: Callable[[pa.Array], Floats]) -> NumericGrid:
        import numpy as np

        values = np.concatenate([np.empty(0), *map(read, self._numbers)])
        return numeric_grid(values[np.isfinite(values)], kind=self._kind, whole=self._whole)

    def _sampled(self, array: pa.Array) -> pa.Array:
        import numpy as np

        first, last = np.searchsorted(self._positions, [self._rows, self._rows + len(array)])
        if last - first == len(array):
            return array
        return array.take(positions_array(self._positions[first:last] - self._rows))

    def _add_texts(self, array: pa.Array) -> None:
        encoded = in_dictionary(plain(array))
        try:
            if self._texts is not None:
                _add_counts(self._texts, encoded)
                if len(self._texts) > _MAX_EXACT_TEXTS:
                    self._texts = None
            _add_counts(self._sampled_texts, self._sampled(encoded))
        except UnicodeDecodeError as error:
            raise not_utf8(self._name) from error

    def _category_grid(self) -> CategoryGrid:
        counts: Mapping[str, int] = self._sampled_texts if self._texts is None else self._texts
        complete = self._texts is not None
        names = sorted(counts, key=lambda name: (-counts[name], name))
        # More names than were counted or it can hold, or most of them once only: what is rare is left out.
        if not complete or len(names) > min(self._max_categories, max(20, sum(counts.values()) // 2)):
            complete = False
            names = [name for name in names if counts[name] >= _MIN_COUNT][: self._max_categories]
        kept: list[str] = []
        size = 0
        for name in names:
            size += len(json.dumps(name, ensure_ascii=False).encode()) + 1
            if size > self._names_bytes:
                complete = False
                break
            kept.append(name)
        return CategoryGrid(kind="text", categories=tuple(kept), complete=complete)


def not_utf8(name: str) -> InputError:
    """Say that a column's bytes are no text."""
    return InputError(f"Column {name!r} holds text that is not in UTF-8. Hint: convert it, for example from latin-1.")


def _add_counts(counts: Counter[str], encoded: pa.DictionaryArray) -> None:
    import numpy as np

    times = count_texts(encoded)
    rows = np.flatnonzero(times)
    texts = encoded.dictionary.take(positions_array(rows)).to_pylist()
    for text, count in zip(texts, times[rows].tolist(), strict=True):
        if text is not None:
            counts[category_name(text)] += count
