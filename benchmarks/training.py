"""What TrainModelOperator costs over the same scikit-learn fit: splitting, judging, explaining, tracking, registering.

Both read one Parquet file of 100,000 rows and 30 columns and fit the same estimator on the same training rows. The
plain side also predicts the held-out rows and computes their ROC AUC, as anybody would. Judged by processor time on one
thread, because threads that wait for each other on a busy machine would measure the machine; the clock is shown beside.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

BUDGET_RATIO = 1.1
BUDGET_SECONDS = 1.5
ROWS, COLUMNS, REPEATS = 100_000, 30, 5
PARAMS = {"max_iter": 100, "early_stopping": False, "random_state": 0}


def main() -> bool:
    """Print both medians and their ratio; return whether the budget is kept."""
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        os.environ.update(
            OMP_NUM_THREADS="1",
            AIRFLOW_HOME=folder,
            MPLCONFIGDIR=folder,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            # Its log goes where the figures go.
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        )
        os.environ.pop("AIRFLOW_CONN_MLFLOW_DEFAULT", None)
        data = Path(folder) / "data.parquet"
        write(data)
        operator = operator_on(data)
        # Imports and the making of the MLflow database are paid once per worker, not per training.
        train(operator)
        fit_with_scikit_learn(data)
        plain = [timed(lambda: fit_with_scikit_learn(data)) for _ in range(REPEATS)]
        ours = [timed(lambda: train(operator)) for _ in range(REPEATS)]
    fit, fit_clock = (statistics.median(times) for times in zip(*plain, strict=True))
    whole, whole_clock = (statistics.median(times) for times in zip(*ours, strict=True))
    budget = BUDGET_RATIO * fit + BUDGET_SECONDS
    passed = whole <= budget
    print(
        f"training: {whole:.2f} s with tracking, {fit:.2f} s plain scikit-learn on {ROWS:,} x {COLUMNS}: "
        f"ratio {whole / fit:.2f} (by the clock {whole_clock:.2f} s and {fit_clock:.2f} s); "
        f"budget {BUDGET_RATIO} x + {BUDGET_SECONDS} s = {budget:.2f} s: {'ok' if passed else 'OVER'}"
    )
    return passed


def write(path: Path) -> None:
    """Write a table from which something can be learned."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, COLUMNS - 1))
    signal = values[:, 0] + values[:, 1] * values[:, 2] + rng.normal(size=ROWS)
    columns = {f"x{number}": values[:, number] for number in range(COLUMNS - 1)}
    pq.write_table(pa.table({**columns, "y": (signal > 1).astype(np.int64)}), path)


def operator_on(data: Path) -> Any:
    """Return the operator in a DAG."""
    from airflow.sdk import DAG

    from airflow_mlops_provider.operators.train_model import TrainModelOperator

    with DAG("benchmark", schedule=None):
        return TrainModelOperator(
            task_id="train",
            model_name="benchmark",
            experiment_name="benchmark",
            data=str(data),
            target="y",
            estimator={"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": PARAMS},
            folds=0,
        )


def train(operator: Any) -> None:
    """Run the task with as much context as it reads, in a DAG run of its own: a retry would adopt the first try."""
    run_id = f"manual__{uuid.uuid4()}"
    ti = SimpleNamespace(dag_id="benchmark", task_id="train", run_id=run_id, try_number=1, map_index=-1)
    events = SimpleNamespace(add=lambda *_, **__: None)
    operator.perform({"ti": ti, "dag": operator.dag, "run_id": run_id, "outlet_events": {operator.outlet: events}})


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of processor time, git and the like included, and by the clock."""
    processor, clock = sum(os.times()[:4]), time.perf_counter()
    work()
    return sum(os.times()[:4]) - processor, time.perf_counter() - clock


def fit_with_scikit_learn(data: Path) -> None:
    """Do what one would write by hand."""
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split

    frame = pd.read_parquet(data)
    X, y = frame.drop(columns="y"), frame["y"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    model = HistGradientBoostingClassifier(**PARAMS).fit(X_train, y_train)
    roc_auc_score(y_test, model.predict_proba(X_test)[:, 1])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
