"""Models and evidence whose files are in S3, through the MLflow server or past it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, chain
from sklearn.datasets import load_wine

from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from tests import servers
from tests.conftest import Bucket


@pytest.mark.parametrize("way", ["proxied", "direct"])
def test_a_model_is_trained_judged_promoted_and_serves_with_all_its_files_in_s3(
    run_dag: Callable[..., Any], s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    table = tmp_path / "wine.csv"
    load_wine(as_frame=True).frame.to_csv(table, index=False)
    data, model_name = s3.put("wine.csv", table.read_bytes()), f"wine in s3 {way}"
    root = s3.uri("mlflow")
    where = (
        {"artifacts": root}
        if way == "proxied"
        else {"options": ("--no-serve-artifacts", "--default-artifact-root", root)}
    )
    with servers.mlflow_server(tmp_path / "mlflow", **where) as url:
        parts = urlsplit(url)
        connection = {"conn_type": "mlflow", "host": parts.hostname, "port": parts.port, "schema": "http"}
        monkeypatch.setenv("AIRFLOW_CONN_WINE_S3", json.dumps(connection))
        if way == "proxied":
            # Then the worker needs no way to the artifacts' bucket; the data's is named in their address.
            own = {
                "conn_type": "aws",
                "login": "ann",
                "password": "x",
                "extra": {"endpoint_url": s3.client.meta.endpoint_url},
            }
            monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(own))
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            data = data.replace("s3://", "s3://lake@")
        with DAG(f"wine_in_s3_{way}", schedule=None, default_args={"mlflow_conn_id": "wine_s3"}) as dag:
            chain(
                TrainModelOperator(
                    task_id="train",
                    model_name=model_name,
                    data=data,
                    target="target",
                    estimator="sklearn.linear_model.LogisticRegression",
                    folds=0,
                    split={"method": "stratified", "holdout_share": 0.4},
                ),
                EvaluateModelOperator(task_id="evaluate", model_name=model_name, data=data),
                PromoteModelOperator(task_id="promote", model_name=model_name),
                BatchScoreOperator(
                    task_id="score",
                    model_name=model_name,
                    data=data,
                    output_path=data.replace("wine.csv", "scores.parquet"),
                ),
            )
        outcome = run_dag(dag)
    assert outcome.errors == {}
    assert outcome.xcoms["promote"]["changed"] is True
    assert outcome.xcoms["score"]["rows"] == 178
    keys = s3.keys()
    assert "scores.parquet" in keys
    for name in ("model.skops", "report.html"):
        assert [key for key in keys if key.startswith("mlflow/") and key.endswith(name)], name
    # Nothing of a model stayed on the disks of worker or server.
    assert not list(tmp_path.rglob("*.skops"))
