from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.operators.base import MLOpsOperator

RUN = "https://mlflow.example.com/#/experiments/1/runs/abc"
REPORT = f"{RUN}/artifacts/report.html"
VERSION = "http://mlflow.example.com/#/models/churn/versions/3"


class Returns(MLOpsOperator):
    def __init__(self, *, result: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.result = result

    def perform(self, context: Any) -> dict[str, Any]:
        return dict(self.result)


def links(run_id: str, dag_id: str) -> dict[str, Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(
            select(XComModel).where(
                XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key.like(r"\_link\_%", escape="\\")
            )
        ).all()
        return {row.key: XComModel.deserialize_value(row) for row in rows}


def run_one(run_dag: Callable[..., Any], dag_id: str, result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    with DAG(dag_id, schedule=None) as dag:
        Returns(task_id="only", result=result)
    outcome = run_dag(dag)
    return outcome.states["only"], links(outcome.run_id, dag_id)


def test_buttons_lead_where_the_result_says(run_dag: Callable[..., Any]) -> None:
    state, found = run_one(
        run_dag, "links_all", {"run_url": RUN, "report_url": REPORT, "model_version_url": VERSION, "passed": True}
    )
    assert state == "success"
    assert found == {
        "_link_MlflowRunLink": RUN,
        "_link_MlflowReportLink": REPORT,
        "_link_MlflowModelVersionLink": VERSION,
    }


def test_a_rejected_task_keeps_its_buttons(run_dag: Callable[..., Any]) -> None:
    state, found = run_one(run_dag, "links_rejected", {"run_url": RUN, "passed": False, "reasons": ["too bad"]})
    assert state == "failed"
    assert found["_link_MlflowRunLink"] == RUN


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "sqlite:///mlflow.db", "data:text/html,x", 3])
def test_what_is_no_web_address_becomes_no_button(run_dag: Callable[..., Any], url: Any, model_name: str) -> None:
    _, found = run_one(run_dag, f"links_none_{model_name}", {"run_url": url})
    assert found["_link_MlflowRunLink"] == ""
    assert found["_link_MlflowReportLink"] == ""


def test_buttons_survive_serialisation_of_the_dag() -> None:
    from tests.airflow_versions import DagSerialization

    with DAG("links_serialised", schedule=None) as dag:
        Returns(task_id="only", result={})
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("only")
    assert set(task.extra_links) == {"MLflow run", "Report", "Model version"}
