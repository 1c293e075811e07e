"""Churn: which policy for retraining would have paid, over past months with a change in the middle.

`cut_months` stands for the archive of a team: it cuts the shipped table of real customers into a first data set and
months, no customer in two of them. In April many customers with small bills come, whom the model knows well. From June
on, of the customers with fibre the loyal ones come, and of all others those who leave, so that what the model learned
is no longer so. No value is invented. The labels of March never came.
"""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.operators.backtest_retrain_policy import BacktestRetrainPolicyOperator

# In a team's deployment an address that all workers reach.
ROOT = os.environ.get("MLOPS_DATA_ROOT", tempfile.gettempdir())

with DAG(
    dag_id="churn_backtest",
    description=__doc__.splitlines()[0],
    schedule=None,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=30)},
    params={
        "source": Param(str(Path(__file__).parent / "data" / "telco_churn.csv"), type="string"),
        "folder": Param(
            f"{ROOT}/churn_months", type="string", description="Where the months are written; may be on S3."
        ),
    },
    tags=["mlops", "churn", "retraining"],
    doc_md=__doc__,
) as dag:

    @task
    def cut_months(params: dict[str, Any]) -> dict[str, Any]:
        """Write the first data set and the months, and say where."""
        import numpy as np
        import pandas as pd
        from pyarrow import fs

        source, path = fs.FileSystem.from_uri(params["source"])
        rest, dice = pd.read_csv(source.open_input_stream(path)), np.random.default_rng(0)
        files, root = fs.FileSystem.from_uri(params["folder"])
        if isinstance(files, fs.LocalFileSystem):
            files.create_dir(root)

        def cut(name: str, rows: int, favoured: Any = 0) -> str:
            """Take customers out of the rest, of the favoured ones 12 times as many (Efraimidis and Spirakis 2006)."""
            nonlocal rest
            turns = pd.Series(dice.exponential(size=len(rest)), index=rest.index) / (1.0 + 11.0 * favoured)
            drawn = rest.loc[turns.nsmallest(rows).index]
            rest = rest.drop(drawn.index)
            drawn.to_parquet(f"{root}/{name}.parquet", index=False, filesystem=files)
            return f"{params['folder']}/{name}.parquet"

        initial = cut("first", 1500)
        windows = []
        for month in range(1, 11):
            small = rest["monthly_charges"] < 55
            other = (rest["internet_service"] == "Fiber optic") != (rest["churn"] == "Yes")
            window = {
                "start": f"2025-{month:02}-01T00:00:00+00:00",
                "end": f"2025-{month + 1:02}-01T00:00:00+00:00",
                "data": cut(f"month_{month:02}", 300, small if month == 4 else other if month >= 6 else 0),
            }
            windows.append({**window, "labels_known_at": "never"} if month == 3 else window)
        return {"initial": initial, "windows": windows}

    cut = cut_months()  # type: ignore[call-arg, misc]  # Airflow gives the context
    backtest = BacktestRetrainPolicyOperator(
        task_id="backtest",
        initial_data="{{ ti.xcom_pull('cut_months')['initial'] }}",
        windows="{{ ti.xcom_pull('cut_months')['windows'] }}",
        target="churn",
        estimator="sklearn.linear_model.LogisticRegression",
        policies={
            "default": RetrainPolicy(),
            "monthly": RetrainPolicy.on_schedule("@monthly"),
            "any drift": RetrainPolicy.on_any_drift(),
            "never": None,
        },
        training_windows=3,
    )
    cut >> backtest
