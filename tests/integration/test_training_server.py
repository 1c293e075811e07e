from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, chain
from sklearn.datasets import load_wine

from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator

NAME = "wine – red & white"


@pytest.fixture(scope="module")
def outcome(run_dag: Callable[..., Any], mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    data = tmp_path_factory.mktemp("data") / "wine.csv"
    load_wine(as_frame=True).frame.to_csv(data, index=False)
    parts = urlsplit(mlflow_server)
    connection = {"conn_type": "mlflow", "host": parts.hostname, "port": parts.port, "schema": "http"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_WINE_MLFLOW", json.dumps(connection))
        with DAG("train_on_a_server", schedule=None, default_args={"mlflow_conn_id": "wine_mlflow"}) as dag:
            chain(
                TrainModelOperator(
                    task_id="train",
                    model_name=NAME,
                    data=str(data),
                    target="target",
                    estimator="sklearn.linear_model.LogisticRegression",
                    folds=0,
                    split={"method": "stratified", "holdout_share": 0.4},
                ),
                EvaluateModelOperator(task_id="evaluate", model_name=NAME, data=str(data)),
                PromoteModelOperator(task_id="promote", model_name=NAME),
            )
        return run_dag(dag)


def test_the_whole_path_works_over_http(outcome: Any) -> None:
    assert outcome.errors == {}
    assert outcome.xcoms["evaluate"]["verdict"] == "rubber_stamped"
    assert outcome.xcoms["promote"]["changed"] is True


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def test_addresses_lead_to_what_the_server_has(outcome: Any, mlflow_server: str) -> None:
    trained, judged = outcome.xcoms["train"], outcome.xcoms["evaluate"]
    for result in (trained, judged):
        run = get(f"{mlflow_server}/api/2.0/mlflow/runs/get?run_id={result['run_id']}")["run"]["info"]
        assert result["run_url"] == (f"{mlflow_server}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}")
        folder, _, name = result["report_url"].partition("/artifacts/")[2].rpartition("/")
        listed = get(f"{mlflow_server}/api/2.0/mlflow/artifacts/list?run_id={result['run_id']}&path={folder}")
        assert f"{folder}/{name}" in {one["path"] for one in listed["files"]}
    assert trained["model_version_url"] == f"{mlflow_server}/#/models/wine%20%E2%80%93%20red%20%26%20white/versions/1"
    assert outcome.xcoms["promote"]["model_version_url"] == trained["model_version_url"]


def test_the_buttons_of_the_tasks_hold_these_addresses(outcome: Any) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(
            select(XComModel).where(XComModel.run_id == outcome.run_id, XComModel.dag_id == "train_on_a_server")
        ).all()
        links = {
            (row.task_id, row.key): XComModel.deserialize_value(row) for row in rows if row.key.startswith("_link_")
        }
    for task_id in ("train", "evaluate"):
        result = outcome.xcoms[task_id]
        assert links[task_id, "_link_MlflowRunLink"] == result["run_url"]
        assert links[task_id, "_link_MlflowReportLink"] == result["report_url"]
        assert links[task_id, "_link_MlflowModelVersionLink"] == result["model_version_url"]
    assert links["promote", "_link_MlflowModelVersionLink"] == outcome.xcoms["promote"]["model_version_url"]
