"""Three hundred sensors on one triggerer, and one that goes the whole way through a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import StartTriggerArgs

from airflow_mlops_provider.sensors.model_version import ModelVersionSensor

SENSORS = 300


class Waiting(BaseOperator):
    """Is in the triggerer from the start, so that a few hundred of them do not need a few hundred workers."""

    start_from_trigger = True
    start_trigger_args = StartTriggerArgs(
        trigger_cls="tests.system.ending_trigger.EndingModelVersionTrigger",
        trigger_kwargs={"model_name": "waited", "min_version": 1, "poll_interval_seconds": 30.0},
        next_method="execute_complete",
        timeout=timedelta(hours=1),
    )

    def execute_complete(self, context: Any, event: Any) -> None:
        raise AssertionError("the trigger ends the task")


with DAG("waiting", schedule=None) as dag:
    for number in range(SENSORS):
        Waiting(task_id=f"wait_{number}")
    ModelVersionSensor(task_id="wait", model_name="waited", min_version=1, deferrable=True, poke_interval=30)
