"""The process that uses a version as a consumer would: an order as JSON on its input, the answer on its output.

It is started by :mod:`airflow_mlops_provider.operators.smoke_test_model` and imported by nobody else, so that what it
measures is what a fresh process pays, and what kills it kills no worker. It may see no packages but the model's own, so
it must not need MLflow or Airflow, and it reaches no server: the files it uses were fetched and checked before.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from airflow_mlops_provider.core.errors import InputError

BATCH_ROWS = 1_000
REPEATS = 15
ANSWER = "SMOKE "


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Load, score the example, measure.

    Parameters
    ----------
    order : dict
        ``directory, where, trusted_types, task, classes, kinds, example``.

    Returns
    -------
    dict
        ``load_seconds, difference, row_milliseconds, batch_milliseconds, batch_rows, memory_megabytes``; the difference
        is None without a stored example, and so are the latencies.
    """
    from airflow_mlops_provider.registry.models import read_model
    from airflow_mlops_provider.training.example import check_example, example_table
    from airflow_mlops_provider.training.scoring import BatchScorer

    where, kinds, example = order["where"], order["kinds"], order["example"]
    began, before = time.perf_counter(), _peak_megabytes()
    model = read_model(Path(order["directory"]), where=where, trusted_types=order["trusted_types"])
    seconds = time.perf_counter() - began
    try:
        scorer = BatchScorer(model, task=order["task"], classes=order["classes"], kinds=kinds)
    except InputError as error:
        raise InputError(f"{where} does not fit its record: {error}") from error
    found: dict[str, Any] = {
        "load_seconds": seconds,
        "difference": None,
        "row_milliseconds": None,
        "batch_milliseconds": None,
        "batch_rows": BATCH_ROWS,
    }
    if example is not None:
        found["difference"] = check_example(example, kinds=kinds, scorer=scorer, label=where)
        rows = example_table(example["rows"], kinds=kinds)
        batch = rows.take([i % rows.num_rows for i in range(BATCH_ROWS)])
        found["row_milliseconds"] = _milliseconds(scorer, rows.slice(0, 1))
        found["batch_milliseconds"] = _milliseconds(scorer, batch)
    return {**found, "memory_megabytes": max(0.0, _peak_megabytes() - before)}


def _milliseconds(scorer: Any, rows: Any) -> float:
    """Return the median time to score some rows, after a first time that does not count."""
    scorer.score(rows)
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        scorer.score(rows)
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def _peak_megabytes() -> float:
    """Return the most memory that this process has held so far."""
    # On Linux `ru_maxrss` begins with what the process that started this one had held.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, kilobytes elsewhere.
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    """Answer the order on the input."""
    try:
        answer: dict[str, Any] = {"found": run(json.load(sys.stdin))}
    except InputError as error:
        answer = {"error": str(error)}
    print(f"\n{ANSWER}{json.dumps(answer)}")


if __name__ == "__main__":
    main()
