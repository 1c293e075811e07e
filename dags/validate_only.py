"""One operator dropped into an ordinary DAG: check a file before the next step reads it.

Trigger it in the UI with another file or other limits; bad data stop the run before `publish`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_mlops_provider.operators.validate_data import ValidateDataOperator

EXPECTATIONS: list[dict[str, Any]] = [
    {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "churn", "value_set": ["Yes", "No"]}},
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "tenure", "min_value": 0, "max_value": 120}},
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "monthly_charges", "min_value": 0}},
    {"type": "expect_column_unique_value_count_to_be_between", "kwargs": {"column": "contract", "max_value": 3}},
    {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "senior_citizen", "max_value": 0.4}},
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "total_charges"}, "severity": "warning"},
]

with DAG(
    dag_id="validate_only",
    schedule=None,
    catchup=False,
    tags=["mlops", "validation"],
    doc_md=__doc__,
    params={
        "data": Param(str(Path(__file__).parent / "data" / "telco_churn.csv"), type="string", title="File to validate"),
        "min_rows": Param(1000, type="integer", minimum=1, title="Fewest rows"),
        "max_missing_share": Param(
            0.05, type="number", minimum=0, maximum=1, title="Largest share missing in a column"
        ),
    },
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": True},
) as dag:

    @task
    def extract(path: str) -> str:
        """Stand for the step that makes the file, and say where it is."""
        return path

    @task
    def publish(verdict: Any) -> str:
        """Stand for the step that must see good data only."""
        return f"{verdict['rows']} rows of {verdict['data']['uri']} are good"

    validate = ValidateDataOperator(
        task_id="validate",
        data=extract("{{ params.data }}"),
        suite=EXPECTATIONS,
        min_rows="{{ params.min_rows }}",
        max_missing_share="{{ params.max_missing_share }}",
        required_columns={"churn": "string", "tenure": "integer", "monthly_charges": "number"},
    )
    publish(validate.output)
