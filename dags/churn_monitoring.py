"""Churn: each day's customers against what the champion was trained on.

`sample_customers` stands for the job that delivers a day's data: it draws real customers from the shipped table, on
some days with weights that favour month-to-month contracts with fibre internet, which shifts several columns at once;
no value is invented. Trigger it by hand for any day. Every window comes from the run's data interval or from its
parameters, never from the clock, so a backfill finds what the day itself would have found.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_mlops_provider.operators.detect_drift import DetectDriftOperator
from airflow_mlops_provider.operators.validate_data import ValidateDataOperator

MODEL_NAME = "churn"

with DAG(
    dag_id="churn_monitoring",
    description=__doc__.splitlines()[0],
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    params={
        "source": Param(str(Path(__file__).parent / "data" / "telco_churn.csv"), type="string"),
        "folder": Param("/tmp/churn_windows", type="string", description="Where the days' customers are written."),  # noqa: S108
        "day": Param(
            None, type=["null", "string"], format="date", description="Default: the end of the data interval."
        ),
        "customers": Param(800, type="integer", minimum=1),
        "fibre_weight": Param(
            1.0,
            type="number",
            minimum=0.1,
            maximum=100,
            description="How much likelier month-to-month customers with fibre are drawn; 1 is no drift.",
        ),
    },
    tags=["mlops", "churn", "monitoring"],
    doc_md=__doc__,
) as dag:

    @task
    def sample_customers(params: dict[str, Any], dag_run: Any) -> dict[str, str]:
        """Write the day's customers and say where."""
        import zlib

        import pandas as pd

        end = dag_run.data_interval_end or dag_run.run_after
        day = params["day"] or f"{end:%Y-%m-%d}"
        customers = pd.read_csv(params["source"]).drop(columns="churn")
        favoured = (customers["contract"] == "Month-to-month") & (customers["internet_service"] == "Fiber optic")
        weights = favoured.map({True: params["fibre_weight"], False: 1.0})
        drawn = customers.sample(
            params["customers"], replace=True, weights=weights, random_state=zlib.crc32(day.encode())
        )
        path = Path(params["folder"]) / f"day={day}" / "customers.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".part")
        drawn.to_parquet(written, index=False)
        written.rename(path)
        return {"path": str(path), "day": day}

    window = sample_customers()  # type: ignore[call-arg, misc]  # Airflow gives the context
    validate = ValidateDataOperator(
        task_id="validate",
        data="{{ ti.xcom_pull('sample_customers')['path'] }}",
        suite="from_model",
        model_name=MODEL_NAME,
        max_missing_share=0.2,
        on_reject="continue",
    )
    drift = DetectDriftOperator(
        task_id="detect_drift",
        model_name=MODEL_NAME,
        data="{{ ti.xcom_pull('sample_customers')['path'] }}",
        window_end="{{ ti.xcom_pull('sample_customers')['day'] }}",
    )
    window >> validate >> drift
