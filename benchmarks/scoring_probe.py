"""One measurement of scoring in a process of its own; prints one JSON object."""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = 20
CHUNK_ROWS = 1 << 17


def chunk(n_rows: int, seed: int) -> pa.Table:
    """Return rows of 20 numeric features, a key and a binary target that depends on them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, FEATURES))
    y = X[:, 0] - X[:, 1] * X[:, 2] + rng.normal(size=n_rows) > 0
    columns = {f"f{i:02}": X[:, i] for i in range(FEATURES)}
    return pa.table({"key": np.arange(n_rows) + seed * CHUNK_ROWS, **columns, "y": np.where(y, "yes", "no")})


def write(path: str, n_rows: str) -> dict[str, float]:
    """Write a Parquet file of so many rows, chunk by chunk."""
    left, seed = int(n_rows), 1
    with pq.ParquetWriter(path, chunk(1, 0).drop(["y"]).schema) as out:
        while left > 0:
            out.write_table(chunk(min(left, CHUNK_ROWS), seed).drop(["y"]))
            left, seed = left - CHUNK_ROWS, seed + 1
    return {}


def train(path: str) -> dict[str, float]:
    """Fit a model of ordinary size and keep it with the profiles that a version carries."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    from airflow_mlops_provider.core.profiler import profile_table
    from airflow_mlops_provider.training.columns import to_frame

    table = chunk(CHUNK_ROWS, 0)
    kinds = dict.fromkeys(table.column_names[1:-1], "numeric")
    frame = to_frame(table, kinds=kinds)
    model = make_pipeline(SimpleImputer(), HistGradientBoostingClassifier(random_state=0)).fit(
        frame, table.column("y").to_numpy()
    )
    said = {"prediction": model.predict(frame[:20_000]), "probability": model.predict_proba(frame[:20_000])[:, 1]}
    joblib.dump(
        {
            "model": model,
            "kinds": kinds,
            "training": profile_table(table.select(list(kinds))),
            "heldout": profile_table(pa.table(said)),
        },
        path,
    )
    return {}


def plain(data: str, stored: str) -> dict[str, float]:
    """Time ``predict_proba`` alone on the chunks that scoring reads, already in memory as frames."""
    from airflow_mlops_provider.training.columns import to_frame

    kept = joblib.load(stored)
    wall = cpu = 0.0
    for batch in pq.ParquetFile(data, pre_buffer=False).iter_batches(CHUNK_ROWS):
        frame = to_frame(pa.table(batch), kinds=kept["kinds"])
        began, cpu_began = time.perf_counter(), time.process_time()
        kept["model"].predict_proba(frame)
        wall += time.perf_counter() - began
        cpu += time.process_time() - cpu_began
    return {"seconds": wall, "cpu_seconds": cpu, "megabytes": _peak()}


def score(data: str, stored: str, output: str) -> dict[str, float]:
    """Time the whole of it: read, count the features, score, count the predictions, write, publish."""
    from airflow_mlops_provider.data.local_output import LocalPlace
    from airflow_mlops_provider.data.table_files import open_files
    from airflow_mlops_provider.operators.scoring import run_lanes
    from airflow_mlops_provider.operators.scoring_counts import SkewCounter
    from airflow_mlops_provider.operators.scoring_lanes import open_lanes
    from airflow_mlops_provider.training.scoring import BatchScorer

    kept = joblib.load(stored)
    scorer = BatchScorer(kept["model"], task="binary", classes=["no", "yes"], kinds=kept["kinds"])
    model = SimpleNamespace(
        version=SimpleNamespace(version="1", model_name="bench", label="bench"),
        scorer=scorer,
        features=list(kept["kinds"]),
        labels=("no", "yes"),
        heldout=kept["heldout"],
    )
    log = SimpleNamespace(info=lambda *_: None, warning=print)
    began, cpu_began = time.perf_counter(), time.process_time()
    with ExitStack() as stack, open_files(data) as source:
        lanes = open_lanes(
            stack,
            source,
            [model],
            place=LocalPlace(Path(output)),
            keys=["key"],
            partition_by=[],
            owner="0" * 64,
            written_by="bench",
            overwrite=True,
            log=log,
        )
        counter = SkewCounter(kept["training"], features=model.features)
        run_lanes(source, lanes, keys=["key"], counter=counter, scored_at=datetime.now(UTC), log=log)
        lanes[0].table.publish()
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "megabytes": _peak(),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps({"write": write, "train": train, "plain": plain, "score": score}[sys.argv[1]](*sys.argv[2:])))
