"""What the profile benchmark runs in processes of its own; prints one line of JSON."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.data.profiling import profile_source
from airflow_mlops_provider.data.table_files import open_files

_ROUNDS = 9
_BATCH_ROWS = 1 << 17


def decode(path: str) -> None:
    """Read every column and throw it away, in the fastest way known: one by one, on all cores, text as dictionaries."""
    schema = pq.read_schema(path)

    def read(field: pa.Field) -> None:
        coded = [field.name] if pa.types.is_string(field.type) else []
        file = pq.ParquetFile(path, read_dictionary=coded, pre_buffer=False)
        for _ in file.iter_batches(batch_size=_BATCH_ROWS, columns=[field.name]):
            pass

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(read, schema))


def make_reference(path: str, stored: str) -> dict[str, float]:
    """Profile a file in cells of its own."""
    began = time.perf_counter()
    text = profile_source(open_files(path)).to_json()
    seconds = time.perf_counter() - began
    Path(stored).write_text(text)
    return {"seconds": seconds}


def profile(path: str, stored: str) -> dict[str, float]:
    """Profile a file in the cells of the reference."""
    grids = DatasetProfile.from_json(Path(stored).read_text()).grids
    began = time.perf_counter()
    profile_source(open_files(path), grids=grids)
    return {"seconds": time.perf_counter() - began}


def ratio(path: str, stored: str) -> dict[str, float]:
    """Take turns at decoding and profiling, so that both meet the same machine."""
    grids = DatasetProfile.from_json(Path(stored).read_text()).grids
    rounds = []
    for _ in range(_ROUNDS):
        marks = [(time.perf_counter(), time.process_time())]
        decode(path)
        marks.append((time.perf_counter(), time.process_time()))
        profile_source(open_files(path), grids=grids)
        marks.append((time.perf_counter(), time.process_time()))
        rounds.append(
            [after - before for first, second in pairwise(marks) for before, after in zip(first, second, strict=True)]
        )
    decode_s, decode_cpu, profile_s, profile_cpu = (statistics.median(of) for of in zip(*rounds, strict=True))
    return {
        "decode_s": decode_s,
        "profile_s": profile_s,
        "ratio": statistics.median(profiling / decoding for decoding, _, profiling, _ in rounds),
        "cpu_ratio": profile_cpu / decode_cpu,
    }


def check(path: str, stored: str) -> dict[str, float]:
    """Decide about drift of a file against a stored profile."""
    from airflow_mlops_provider.core.decide_drift import decide_drift

    began = time.perf_counter()
    reference = DatasetProfile.from_json(Path(stored).read_text())
    current = profile_source(open_files(path), grids=reference.grids)
    profiled = time.perf_counter()
    decide_drift(reference, current)
    return {"profile_s": profiled - began, "decide_s": time.perf_counter() - profiled}


if __name__ == "__main__":
    probes: dict[str, Callable[..., dict[str, Any]]] = {
        "reference": make_reference,
        "profile": profile,
        "ratio": ratio,
        "check": check,
    }
    found = probes[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({**found, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
