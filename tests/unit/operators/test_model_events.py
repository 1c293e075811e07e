from __future__ import annotations

from airflow.sdk import AssetAlias

from airflow_mlops_provider.operators.model_events import model_outlet
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator


def test_a_literal_name_has_its_own_outlet_and_names_to_be_rendered_share_one() -> None:
    assert model_outlet("credit risk") == AssetAlias("mlflow://models/credit%20risk")
    for name in ("{{ params.name }}", "a{% if x %}b{% endif %}"):
        assert model_outlet(name) == AssetAlias("mlflow://models")


def test_an_operator_keeps_the_outlets_it_is_given_and_adds_the_models() -> None:
    own = AssetAlias("reports")
    train = TrainModelOperator(
        task_id="train", model_name="churn", data="x.csv", target="y", estimator="a.B", outlets=[own]
    )
    promote = PromoteModelOperator(task_id="promote", model_name="churn", outlets=[own])
    for operator in (train, promote):
        assert operator.outlets == [own, AssetAlias("mlflow://models/churn")]
