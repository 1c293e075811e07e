"""A hundred alarms about one model at once, each in a task of its own; and the training that they ask for."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_mlops_provider.operators.trigger_retrain import TriggerRetrainOperator

ALARMS = 100

with DAG("storm", schedule=None, max_active_tasks=32) as storm:
    TriggerRetrainOperator.partial(
        task_id="alarm",
        model_name="storm",
        trigger_dag_id="storm_training",
        now="2026-03-03T00:00:00+00:00",
        retries=3,
        retry_delay=timedelta(seconds=1),
    ).expand(new_rows=[1000] * ALARMS)

with DAG("storm_training", schedule=None) as training:
    EmptyOperator(task_id="train")
