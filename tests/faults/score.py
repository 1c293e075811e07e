"""Runs the real scoring operator once, for tests that kill it: ``python score.py order.json``."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Events:
    def add(self, *_: object, **__: object) -> None:
        pass


def context(task_id: str) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="kill", task_id=task_id, run_id="run-1", map_index=-1, try_number=1, xcom_push=lambda **_: None
    )
    return {"ti": ti, "dag": SimpleNamespace(dag_id="kill", fileloc=None), "outlet_events": defaultdict(Events)}


def train(order: dict[str, Any]) -> None:
    from airflow_mlops_provider.hooks.mlflow import MlflowHook
    from airflow_mlops_provider.operators.train_model import TrainModelOperator

    # Two tasks: one task with another estimator would be a retry with other input, which is refused.
    for estimator in ("sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.GaussianNB"):
        task_id = f"train_{estimator.rpartition('.')[2]}"
        TrainModelOperator(
            task_id=task_id,
            model_name="kill",
            data=order["training"],
            target="churn",
            estimator=estimator,
            folds=0,
            experiment_name="kill",
        ).execute(context(task_id))
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias("kill", "champion", "1")


def score(order: dict[str, Any]) -> None:
    from airflow_mlops_provider.operators.batch_score import BatchScoreOperator

    BatchScoreOperator(
        task_id="score",
        model_name="kill",
        data=order["data"],
        output_path=order["output"],
        key_columns=["customer"],
        partition_by=order["partition_by"],
        shadow=["challenger"],
        scored_at="2026-01-01T00:00:00+00:00",
    ).execute(context("score"))


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    {"train": train, "score": score}[given["what"]](given)
