"""Churn: the whole loop of a model in use, day by day, until it retrains itself.

Each day's customers are scored by the champion and compared with what it was trained on; customers of days before,
whose churn has become known, show how it did, and an estimate tells how it probably does where nobody knows yet. When,
and only when, the evidence says that it pays, `churn_training` is started on the customers that are known by now.

`deliver` stands for the outside world: it draws real customers from the shipped table, for which folder names may be
local or on S3. Every window comes from the run's data interval or its parameters, never from the clock, so a backfill
finds what the day itself would have found. Trigger it by hand for any day.
"""

from __future__ import annotations

import os
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.check_performance import CheckPerformanceOperator
from airflow_mlops_provider.operators.detect_drift import DetectDriftOperator
from airflow_mlops_provider.operators.estimate_performance import EstimatePerformanceOperator
from airflow_mlops_provider.operators.trigger_retrain import TriggerRetrainOperator
from airflow_mlops_provider.operators.validate_data import ValidateDataOperator

# In a team's deployment an address that all workers reach.
ROOT = os.environ.get("MLOPS_DATA_ROOT", tempfile.gettempdir())
MODEL_NAME = "churn"
LABEL_DELAY_DAYS = 1
DELIVERED = "{{ ti.xcom_pull('deliver')['%s'] }}"

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
        "source": Param(
            str(Path(__file__).parent / "data" / "telco_churn.csv"),
            type="string",
            description="Table of customers; a path or s3://bucket/key.",
        ),
        "folder": Param(f"{ROOT}/churn_monitoring", type="string", description="Where all files go; may be on S3."),
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
        "min_roc_auc": Param(0.75, type="number", minimum=0.5, maximum=1, description="Of a retrained model."),
    },
    tags=["mlops", "churn", "monitoring"],
    doc_md=__doc__,
) as dag:

    @task
    def deliver(params: dict[str, Any], dag_run: Any) -> dict[str, str]:
        """Write the day's customers, and who of earlier ones has left, and say where."""
        import zlib

        import pandas as pd
        from pyarrow import fs

        end = dag_run.data_interval_end or dag_run.run_after
        day = date.fromisoformat(params["day"]) if params["day"] else end.date()
        known = day - timedelta(days=LABEL_DELAY_DAYS)
        files, root = fs.FileSystem.from_uri(params["folder"])

        def write(table: pd.DataFrame, name: str, day: date) -> None:
            if isinstance(files, fs.LocalFileSystem):
                files.create_dir(f"{root}/{name}")
            table.to_parquet(f"{root}/{name}/{day}.parquet", index=False, filesystem=files)

        tables, path = fs.FileSystem.from_uri(params["source"])
        customers = pd.read_csv(tables.open_input_stream(path))
        favoured = (customers["contract"] == "Month-to-month") & (customers["internet_service"] == "Fiber optic")
        weights = favoured.map({True: params["fibre_weight"], False: 1.0})
        drawn = customers.sample(
            params["customers"], replace=True, weights=weights, random_state=zlib.crc32(str(day).encode())
        )
        drawn.insert(0, "customer", [f"{day}/{number}" for number in range(len(drawn))])
        write(drawn.drop(columns="churn"), "customers", day)
        write(drawn, "outcomes", day)  # in life nobody has these yet
        if files.get_file_info(f"{root}/outcomes/{known}.parquet").is_file:
            outcomes = pd.read_parquet(f"{root}/outcomes/{known}.parquet", filesystem=files)
            write(outcomes[["customer", "churn"]], "labels", known)
            write(outcomes.drop(columns="customer"), "labelled", known)
        names = {name: f"{params['folder']}/{name}" for name in ("labels", "labelled", "scores")}
        return {
            **names,
            "customers": f"{params['folder']}/customers/{day}.parquet",
            "day_scores": f"{params['folder']}/scores/{day}.parquet",
            "until": f"{day}T00:00:00+00:00",
        }

    # Customers unlike those of training are what the checks below are to find: they are reported and scored.
    validate = ValidateDataOperator(
        task_id="validate",
        data=DELIVERED % "customers",
        suite="from_model",
        model_name=MODEL_NAME,
        max_missing_share=0.2,
        on_reject="continue",
    )
    score = BatchScoreOperator(
        task_id="score",
        model_name=MODEL_NAME,
        data=DELIVERED % "customers",
        output_path=DELIVERED % "day_scores",
        key_columns=["customer"],
        scored_at=DELIVERED % "until",
        overwrite=True,  # by another run for the same day
        on_reject="continue",
    )
    window: dict[str, Any] = {"model_name": MODEL_NAME, "window_end": DELIVERED % "until"}
    drift = DetectDriftOperator(task_id="detect_drift", profile="{{ ti.xcom_pull('score')['profile_uri'] }}", **window)
    performance = CheckPerformanceOperator(
        task_id="performance",
        predictions=DELIVERED % "scores",
        labels=DELIVERED % "labels",
        key_columns=["customer"],
        policy={"label_delay_days": LABEL_DELAY_DAYS, "window_days": 1},
        **window,
    )
    estimate = EstimatePerformanceOperator(
        task_id="estimate", predictions="{{ ti.xcom_pull('score') }}", key_columns=["customer"], **window
    )
    retrain = TriggerRetrainOperator(
        task_id="retrain",
        model_name=MODEL_NAME,
        trigger_dag_id="churn_training",
        policy=RetrainPolicy(min_new_rows=500, cooldown=timedelta(days=1), follow_up=False),
        conf={"data": DELIVERED % "labelled", "min_roc_auc": "{{ params.min_roc_auc }}"},
        now=DELIVERED % "until",
    )
    deliver() >> [validate, score]  # type: ignore[call-arg, misc]  # Airflow gives the context
    score >> [drift, performance, estimate] >> retrain
