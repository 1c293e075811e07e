"""Churn: go back to an earlier champion, by hand, with a reason.

Trigger it when the champion misbehaves. Without a version, the latest earlier champion whose files are whole serves
again; the version that misbehaved stays in the registry and is not chosen again by itself. The second task prints who
was champion from when to when, and why.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_mlops_provider.operators.model_history import ModelHistoryOperator
from airflow_mlops_provider.operators.rollback_model import RollbackModelOperator

with DAG(
    dag_id="churn_rollback",
    description=__doc__.splitlines()[0],
    schedule=None,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    params={
        "model_name": Param("churn", type="string", minLength=1),
        "reason": Param(
            type="string", minLength=5, maxLength=1000, description="What is wrong with the champion; stays on record."
        ),
        "to_version": Param(
            None, type=["null", "integer"], minimum=1, description="Default: the latest earlier champion that is whole."
        ),
        "from_version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="The version that misbehaves; nothing changes when it is not champion any more.",
        ),
    },
    tags=["mlops", "churn"],
    doc_md=__doc__,
) as dag:
    rollback = RollbackModelOperator(
        task_id="rollback",
        model_name="{{ params.model_name }}",
        reason="{{ params.reason }}",
        to_version="{{ params.to_version or '' }}",
        from_version="{{ params.from_version or '' }}",
    )
    history = ModelHistoryOperator(task_id="history", model_name="{{ params.model_name }}")
    rollback >> history
