from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, chain
from sklearn.datasets import load_breast_cancer

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.scoring_model import load_scoring_model
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry import model_files
from airflow_mlops_provider.registry.manifest import manifest_of
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import by_number


def test_a_champion_whose_files_and_their_list_were_exchanged_does_not_score(
    run_dag: Callable[..., Any], model_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data := tmp_path / "cells.csv").write_text(
        load_breast_cancer(as_frame=True).frame.iloc[:, -4:].to_csv(index=False)
    )
    common = {"model_name": model_name, "data": str(data)}
    estimator = "sklearn.linear_model.LogisticRegression"
    with DAG(f"scoring_model_{model_name}", schedule=None) as dag:
        chain(
            TrainModelOperator(task_id="train", **common, target="target", estimator=estimator, folds=0),
            EvaluateModelOperator(task_id="evaluate", **common, gates=["min_rows"]),
            PromoteModelOperator(task_id="promote", model_name=model_name),
        )
    assert run_dag(dag).errors == {}
    with open_registry(embedded_server()) as registry:
        version = by_number(registry, model_name, "1")
        assert load_scoring_model(registry, version).labels
        location = registry.client.get_logged_model(version.model_id).artifact_location.removeprefix("file://")
        (Path(location) / "requirements.txt").write_text("evil==1")
        forged = (str(version.model_id), manifest_of(Path(location)))
        monkeypatch.setattr(model_files, "recorded_manifest", lambda *_, **__: forged)
        with pytest.raises(InputError, match="changed together after the version was judged"):
            load_scoring_model(registry, version)
