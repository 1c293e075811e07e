"""The process that tries a model: takes its order as JSON on its input, and ends with 0 or with why on its last line.

Started by :mod:`airflow_mlops_provider.registry.trial` and imported by nobody.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import InputError


def limit(order: dict[str, Any]) -> None:
    """Give up, for good, what the order does not grant."""
    cpu, memory = order["cpu_seconds"], order["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def attempt(order: dict[str, Any]) -> None:
    """Load the model and let it predict."""
    from airflow_mlops_provider.registry.models import read_model

    where = order["where"]
    model = read_model(
        Path(order["directory"]),
        where=where,
        trusted_types=order["trusted_types"],
        allow_pickle=order["allow_pickle"],
    )
    if not hasattr(model, "predict"):
        raise InputError(f"{where} is a {type(model).__name__}, which cannot predict.")
    if order["rows"] is None:
        return
    import pandas as pd

    rows = pd.read_pickle(order["rows"])  # noqa: S301 - written a moment ago by the process that waits for this one
    predicted = model.predict(rows)
    if len(predicted) != len(rows):
        raise InputError(f"{where} predicts {len(predicted)} values for {len(rows)} rows.")


def main() -> int:
    """Carry out the order on the input."""
    order = json.load(sys.stdin)
    limit(order)
    try:
        attempt(order)
    except InputError as error:
        sys.stderr.write(f"\nInputError: {' '.join(str(error).split())}\n")
        return 1
    except MemoryError:
        sys.stderr.write("\nMemoryError\n")
        return 1
    except Exception as error:
        text = " ".join(str(error).split())[:500]
        sys.stderr.write(f"\nInputError: {order['where']} cannot predict: {type(error).__name__}: {text}.\n")
        return 1
    sys.stdout.write("tried\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
