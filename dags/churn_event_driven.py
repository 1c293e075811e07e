"""Churn without a clock: drift starts a training, and a new champion, whoever named it, is tried and told of.

`churn_retrain_on_drift` is scheduled on the asset that drift checks announce themselves on. `churn_champion_moved` is
scheduled on an asset of its own that a watcher in the triggerer updates when the alias `champion` moves in MLflow: by
a promotion or a rollback here, or by a person in the MLflow UI. Neither run has a logical date, so nothing here uses
one. For rules that hold a training back when it would not pay, see `churn_monitoring`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_mlops_provider.assets.mlflow import model_asset_uri
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.model_history import ModelHistoryOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.smoke_test_model import SmokeTestModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.triggers.model_event import ModelEventTrigger

MODEL_NAME = "churn"
DRIFT = Asset(model_asset_uri(MODEL_NAME, topic="drift"))
# Not mlflow://models/churn@champion, where promotions announce themselves: they would come twice.
CHAMPION_MOVED = Asset(
    "churn_champion_moved",
    watchers=[AssetWatcher(name="mlflow", trigger=ModelEventTrigger(model_name=MODEL_NAME, alias="champion"))],
)

COMMON: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1),
    "catchup": False,
    "max_active_runs": 1,  # an event that comes twice waits, and then finds all done
    "default_args": {"retries": 2, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    "tags": ["mlops", "churn", "events"],
    "doc_md": __doc__,
}

with DAG(
    dag_id="churn_retrain_on_drift",
    description="Churn: train when the customers drift.",
    schedule=[DRIFT],
    params={
        "data": Param(str(Path(__file__).parent / "data" / "telco_churn.csv"), type="string"),
        "estimator": Param("sklearn.linear_model.LogisticRegression", type="string"),
    },
    **COMMON,
) as retrain_on_drift:
    train = TrainModelOperator(
        task_id="train",
        model_name=MODEL_NAME,
        data="{{ params.data }}",
        target="churn",
        estimator="{{ params.estimator }}",
    )
    evaluate = EvaluateModelOperator(
        task_id="evaluate",
        model_name=MODEL_NAME,
        version="{{ ti.xcom_pull('train')['version'] }}",
        data="{{ params.data }}",
        on_reject="skip",
    )
    promote = PromoteModelOperator(
        task_id="promote", model_name=MODEL_NAME, version="{{ ti.xcom_pull('train')['version'] }}"
    )
    train >> evaluate >> promote

with DAG(
    dag_id="churn_champion_moved",
    description="Churn: try a new champion, and say who was champion when.",
    schedule=[CHAMPION_MOVED],
    **COMMON,
) as champion_moved:

    @task
    def what_moved(triggering_asset_events: Any) -> dict[str, Any]:
        """Return what the latest event says; a run by hand has none."""
        events = [event for found in triggering_asset_events.values() for event in found]
        return dict(events[-1].extra["payload"]) if events else {}

    # The alias, and not the version that the event names: when it moved on meanwhile, the present champion counts.
    smoke_test = SmokeTestModelOperator(
        task_id="smoke_test", model_name=MODEL_NAME, alias="champion", environment="current"
    )
    history = ModelHistoryOperator(task_id="history", model_name=MODEL_NAME, last=10)
    what_moved() >> smoke_test >> history  # type: ignore[call-arg, misc]  # Airflow gives the context
