"""The golden samples, and real profiles of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.profile_pairs import cells_of
from airflow_mlops_provider.core.profiler import Profiler
from airflow_mlops_provider.core.reference_grids import reference_grids

GOLDEN = Path(__file__).resolve().parents[3] / "golden"


@pytest.fixture(scope="session")
def golden():
    """Values by tool; see tests/golden/make_drift.py."""
    return json.loads((GOLDEN / "drift.json").read_text())


@pytest.fixture(scope="session")
def samples():
    """Size -> column -> (reference, current) as arrays."""
    spec = importlib.util.spec_from_file_location("make_drift", GOLDEN / "make_drift.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        size: {name: (np.array(x), np.array(y)) for name, (x, y) in module.samples(size).items()}
        for size in module.SIZES
    }


@pytest.fixture(scope="session")
def to_cells():
    """Count two samples as the package does: grids from the reference, then profiles, then common cells."""

    def count(reference, current):
        tables = [pa.table({"x": pa.array(np.asarray(one))}) for one in (reference, current)]
        grids = reference_grids(tables[0])
        profiles = []
        for table in tables:
            profiler = Profiler(grids)
            profiler.update(table)
            profiles.append(profiler.result().column("x"))
        return cells_of(*profiles)

    return count


@pytest.fixture(scope="session")
def drifting(samples):
    """(size, column, reference, current) of every golden column of a kind."""

    def of(kind, *, without=()):
        wanted = "fiu" if kind == "numeric" else "U"
        return [
            (size, name, x, y)
            for size, columns in samples.items()
            for name, (x, y) in columns.items()
            if x.dtype.kind in wanted and name not in without
        ]

    return of
