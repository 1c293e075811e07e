"""Buttons on a task that open its MLflow run, its report and the model version; they read the task's own result only.

Every operator carries them, so every DAG file pays for what is imported here: Airflow's SDK and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class _ResultLink(BaseOperatorLink):
    """Opens the address that the task's result holds under `result_key`."""

    result_key: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or ``""`` when the task left none."""
        result = XCom.get_value(ti_key=ti_key, key="return_value")
        url = result.get(self.result_key) if isinstance(result, dict) else None
        # An embedded store has no UI; and what is no web address must never become a button.
        return url if isinstance(url, str) and url.startswith(("http://", "https://")) else ""


class MlflowRunLink(_ResultLink):
    """Opens the MLflow run the task logged to (``run_url`` of its result)."""

    name = "MLflow run"
    result_key = "run_url"


class MlflowReportLink(_ResultLink):
    """Opens the HTML report the task wrote (``report_url`` of its result)."""

    name = "Report"
    result_key = "report_url"


class MlflowModelVersionLink(_ResultLink):
    """Opens the model version the task made or judged (``model_version_url`` of its result)."""

    name = "Model version"
    result_key = "model_version_url"
