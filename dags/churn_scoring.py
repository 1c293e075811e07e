"""Churn: each day's customers scored by the champion, with the challenger in its shadow, and watched for drift.

`deliver_customers` stands for the job that delivers a day's data: it draws real customers from the shipped table and
numbers them. The scoring reads them once; its count of the features goes on to the drift check. Rows that are not of
the kind the champion knows are scored for nobody. A day is scored once: a retry writes the same table again.
Who left is known here at once; in life the comparison with labels waits for them in a DAG of its own. These customers
were trained on too, so the numbers show how it works, not how good a model is.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.compare_shadow import CompareShadowOperator
from airflow_mlops_provider.operators.detect_drift import DetectDriftOperator

# In a team's deployment an address that all workers reach.
ROOT = os.environ.get("MLOPS_DATA_ROOT", tempfile.gettempdir())
MODEL_NAME = "churn"

with DAG(
    dag_id="churn_scoring",
    description=__doc__.splitlines()[0],
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    params={
        "source": Param(str(Path(__file__).parent / "data" / "telco_churn.csv"), type="string"),
        "folder": Param(
            f"{ROOT}/churn_scores", type="string", description="Where customers and scores go; may be on S3."
        ),
        "day": Param(
            None, type=["null", "string"], format="date", description="Default: the end of the data interval."
        ),
        "customers": Param(800, type="integer", minimum=1),
        "charges_factor": Param(
            1.0, type="number", description="Unit of monthly_charges; another than 1 is a broken delivery."
        ),
    },
    tags=["mlops", "churn", "scoring"],
    doc_md=__doc__,
) as dag:

    @task
    def deliver_customers(params: dict[str, Any], dag_run: Any) -> dict[str, str]:
        """Write the day's customers and say where, and where their scores belong."""
        import zlib

        import pandas as pd
        from pyarrow import fs

        end = dag_run.data_interval_end or dag_run.run_after
        day = params["day"] or f"{end:%Y-%m-%d}"
        source, path = fs.FileSystem.from_uri(params["source"])
        drawn = (
            pd.read_csv(source.open_input_stream(path))
            .rename_axis("customer")
            .reset_index()
            .sample(params["customers"], random_state=zlib.crc32(day.encode()))
        )
        drawn["monthly_charges"] *= params["charges_factor"]
        files, root = fs.FileSystem.from_uri(params["folder"])
        for name, rows in (("customers", drawn.drop(columns="churn")), ("labels", drawn[["customer", "churn"]])):
            if isinstance(files, fs.LocalFileSystem):
                files.create_dir(f"{root}/{name}")
            rows.to_parquet(f"{root}/{name}/{day}.parquet", index=False, filesystem=files)
        names = {name: f"{params['folder']}/{name}/{day}.parquet" for name in ("customers", "labels")}
        return {**names, "scores": f"{params['folder']}/scores/day={day}", "day": day}

    customers = deliver_customers()  # type: ignore[call-arg, misc]  # Airflow gives the context
    score = BatchScoreOperator(
        task_id="score",
        model_name=MODEL_NAME,
        data="{{ ti.xcom_pull('deliver_customers')['customers'] }}",
        output_path="{{ ti.xcom_pull('deliver_customers')['scores'] }}",
        key_columns=["customer"],
        shadow=["challenger"],
    )
    drift = DetectDriftOperator(
        task_id="detect_drift",
        model_name=MODEL_NAME,
        profile="{{ ti.xcom_pull('score')['profile_uri'] }}",
        window_end="{{ ti.xcom_pull('deliver_customers')['day'] }}",
    )
    compare = CompareShadowOperator(
        task_id="compare_shadow",
        model_name=MODEL_NAME,
        scored="{{ ti.xcom_pull('score') }}",
        labels="{{ ti.xcom_pull('deliver_customers')['labels'] }}",
        key_columns=["customer"],
        window_end="{{ ti.xcom_pull('deliver_customers')['day'] }}",
    )
    customers >> score >> [drift, compare]
