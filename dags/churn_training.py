"""Churn: validate the customers, train several candidates, evaluate the best against the champion, promote it.

Runs weekly, or by hand with other data, candidates and thresholds. A challenger that is not better than the champion
is not promoted: the evaluation is marked skipped and says why.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.operators.validate_data import ValidateDataOperator

MODEL_NAME = "churn"
CANDIDATES = [
    "sklearn.linear_model.LogisticRegression",
    "sklearn.ensemble.RandomForestClassifier",
    "sklearn.ensemble.GradientBoostingClassifier",
    "sklearn.ensemble.HistGradientBoostingClassifier",
]

with DAG(
    dag_id="churn_training",
    description=__doc__.splitlines()[0],
    schedule="@weekly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    params={
        "data": Param(
            str(Path(__file__).parent / "data" / "telco_churn.csv"),
            type="string",
            description="File, directory or glob with the customers.",
        ),
        "target": Param("churn", type="string", description="Column to predict."),
        "candidates": Param(
            [CANDIDATES[0], CANDIDATES[2]],
            type="array",
            items={"type": "string"},
            examples=CANDIDATES,
            minItems=1,
            description="Estimators that compete in cross-validation.",
        ),
        "max_missing_share": Param(0.05, type="number", minimum=0, maximum=1),
        "min_roc_auc": Param(0.8, type="number", minimum=0.5, maximum=1, description="Below it nothing is promoted."),
        "min_improvement": Param(
            0.0,
            type="number",
            minimum=0,
            maximum=0.5,
            description="How much better than the champion, in ROC AUC, the lower end of the interval must be.",
        ),
    },
    tags=["mlops", "churn"],
) as dag:
    validate = ValidateDataOperator(
        task_id="validate",
        data="{{ params.data }}",
        min_rows=500,
        max_missing_share="{{ params.max_missing_share }}",
        suite=[
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "tenure"}},
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "monthly_charges", "min_value": 0, "max_value": 500},
            },
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": "contract", "value_set": ["Month-to-month", "One year", "Two year"]},
            },
            {
                "type": "expect_column_mean_to_be_between",
                "kwargs": {"column": "tenure", "min_value": 12, "max_value": 60},
                "severity": "warning",
            },
        ],
    )
    train = TrainModelOperator(
        task_id="train",
        model_name=MODEL_NAME,
        data="{{ params.data }}",
        target="{{ params.target }}",
        estimator="{{ params.candidates }}",
    )
    evaluate = EvaluateModelOperator(
        task_id="evaluate",
        model_name=MODEL_NAME,
        version="{{ ti.xcom_pull('train')['version'] }}",
        data="{{ params.data }}",
        gates=[
            "min_rows",
            "beats_baseline",
            {"gate": "min_metric", "metric": "roc_auc", "threshold": "{{ params.min_roc_auc }}"},
            {"gate": "better_than_champion", "metric": "roc_auc", "margin": "{{ params.min_improvement }}"},
        ],
        on_reject="skip",
    )
    promote = PromoteModelOperator(
        task_id="promote", model_name=MODEL_NAME, version="{{ ti.xcom_pull('train')['version'] }}"
    )

    validate >> train >> evaluate >> promote
