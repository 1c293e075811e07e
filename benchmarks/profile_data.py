"""Writes the data of the profile benchmark: path, rows, seed and shift are its arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_GROUP_ROWS = 1_000_000


def write_table(path: Path, n_rows: int, *, seed: int, shift: float = 0.0) -> None:
    """Write 37 columns: 20 floats, 5 small integers, 10 texts of 5 to 50 values and 2 of 50,000.

    Parameters
    ----------
    path : pathlib.Path
        Of the file.
    n_rows : int
        Its rows, in row groups of a million.
    seed : int
        Of its values.
    shift : float
        By how much of a standard deviation every seventh float is moved.
    """
    rng = np.random.default_rng(seed)
    names = pa.array([f"user_{i:06d}" for i in range(50_000)])
    writer = None
    for start in range(0, n_rows, _GROUP_ROWS):
        n = min(_GROUP_ROWS, n_rows - start)
        columns: dict[str, Any] = {}
        for i in range(20):
            values = rng.lognormal(0, 1, n) if i % 2 else rng.normal(i, 1 + i, n)
            columns[f"float_{i:02d}"] = values + shift * (1 + i) if i % 7 == 0 else values
        for i in range(5):
            columns[f"integer_{i}"] = rng.integers(0, 10 * (i + 1), n)
        for i in range(10):
            columns[f"text_{i}"] = _texts(names.slice(0, 5 * (i + 1)), rng, n)
        for i in range(2):
            columns[f"user_{i}"] = _texts(names, rng, n)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=_GROUP_ROWS)
    assert writer is not None
    writer.close()


def _texts(names: pa.Array, rng: np.random.Generator, n: int) -> pa.Array:
    numbers = pa.array(rng.integers(0, len(names), n, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(numbers, names).cast(pa.string())


if __name__ == "__main__":
    write_table(Path(sys.argv[1]), int(sys.argv[2]), seed=int(sys.argv[3]), shift=float(sys.argv[4]))
    print("{}")
