from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, chain, task
from sklearn.datasets import load_breast_cancer

from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.blessings import ARTIFACT
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, by_alias, by_number

NAME = "promoted by operators"
STUMP = {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 1}}
RETRYING = {"retries": 2, "retry_delay": timedelta(0)}
LINEAR = "sklearn.linear_model.LogisticRegression"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "breast_cancer.csv"
    load_breast_cancer(as_frame=True).frame.to_csv(path, index=False)
    return str(path)


def train(number: int, data: str, estimator: object, name: str = NAME) -> TrainModelOperator:
    return TrainModelOperator(
        task_id=f"train_{number}",
        model_name=name,
        data=data,
        target="target",
        estimator=estimator,
        folds=0,
        split={"holdout_share": 0.4},
        multiple_outputs=True,
    )


def evaluate(number: int, data: str, name: str = NAME) -> EvaluateModelOperator:
    return EvaluateModelOperator(task_id=f"evaluate_{number}", model_name=name, data=data, on_reject="continue")


def promote(number: int, name: str = NAME, **settings: Any) -> PromoteModelOperator:
    return PromoteModelOperator(task_id=f"promote_{number}", model_name=name, **settings)


@pytest.fixture(scope="module")
def rounds(run_dag: Callable[..., Any], data: str) -> Any:
    """A first model, a better one, a worse one, and then the champion once more."""
    with DAG("promote_rounds", schedule=None) as dag:
        better = train(2, data, LINEAR)
        chain(
            *(train(1, data, STUMP), evaluate(1, data), promote(1)),
            *(better, evaluate(2, data), promote(2, version=better.output["version"])),
            *(train(3, data, STUMP), evaluate(3, data), promote(3, on_reject="continue")),
            PromoteModelOperator(task_id="promote_again", model_name=NAME, version=2),
            PromoteModelOperator(
                task_id="promote_by_template",
                model_name="{{ 'promoted by operators' }}",
                version="{{ ti.xcom_pull('train_2')['version'] }}",
            ),
        )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    return outcome


@pytest.fixture
def registry():
    with open_registry(embedded_server()) as registry:
        yield registry


def test_the_first_model_is_rubber_stamped_and_promoted(rounds: Any) -> None:
    assert rounds.xcoms["evaluate_1"]["verdict"] == "rubber_stamped"
    result = rounds.xcoms["promote_1"]
    assert (result["passed"], result["changed"], result["previous_champion"]) == (True, True, None)
    assert result["verdict"] == "rubber_stamped"


def test_a_better_model_is_promoted_and_the_one_before_is_kept(rounds: Any, registry: Any) -> None:
    assert rounds.xcoms["evaluate_2"]["verdict"] == "blessed"
    result = rounds.xcoms["promote_2"]
    assert (result["version"], result["changed"], result["previous_champion"]) == ("2", True, "1")
    assert by_alias(registry, NAME, CHAMPION).version == "2"
    tags = by_number(registry, NAME, "2").tags
    assert tags["mlops.previous_champion"] == "1"
    assert json.loads(tags["mlops.promoted_by"])["task_id"] == "promote_2"


def test_a_worse_model_is_not_promoted_and_the_reason_is_passed_on(rounds: Any, registry: Any) -> None:
    verdict = rounds.xcoms["evaluate_3"]
    assert verdict["verdict"] == "not_blessed"
    result = rounds.xcoms["promote_3"]
    assert (result["passed"], result["changed"], result["version"]) == (False, False, "3")
    assert verdict["reasons"][0] in result["reasons"][0]
    assert by_alias(registry, NAME, CHALLENGER).version == "3"


def test_promoting_the_champion_again_passes_and_changes_nothing(rounds: Any) -> None:
    for task_id in ("promote_again", "promote_by_template"):
        result = rounds.xcoms[task_id]
        assert (result["passed"], result["changed"], result["version"]) == (True, False, "2")
        assert result["previous_champion"] == "1"


def test_results_are_plain_json(rounds: Any) -> None:
    for result in rounds.xcoms.values():
        assert json.loads(json.dumps(result)) == result


def test_events_tell_of_promotions_and_only_of_those(rounds: Any) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.execute(
            select(AssetModel.uri, AssetEvent.source_task_id, AssetEvent.extra)
            .join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
            .where(AssetEvent.source_run_id == rounds.run_id, AssetEvent.source_dag_id == "promote_rounds")
        ).all()
    model = "mlflow://models/promoted%20by%20operators"
    assert sorted((uri, task) for uri, task, _ in found) == [
        (model, "promote_1"),
        (model, "promote_2"),
        (model, "train_1"),
        (model, "train_2"),
        (model, "train_3"),
        (f"{model}@champion", "promote_1"),
        (f"{model}@champion", "promote_2"),
    ]
    (extra,) = [extra for uri, task, extra in found if (uri, task) == (f"{model}@champion", "promote_2")]
    trained = rounds.xcoms["train_2"]
    assert extra["event"] == "promoted"
    assert (extra["version"], extra["previous_champion"], extra["run_id"]) == ("2", "1", trained["run_id"])
    for bound, value in extra["metrics"]["roc_auc"].items():
        assert value == pytest.approx(trained["metrics"]["roc_auc"][bound], rel=1e-5)


@pytest.mark.parametrize(("on_reject", "state"), [("fail", "failed"), ("skip", "skipped"), ("continue", "success")])
def test_a_version_that_was_never_evaluated_is_rejected_as_wanted(
    run_dag: Callable[..., Any], data: str, model_name: str, registry: Any, on_reject: str, state: str
) -> None:
    calls: list[Any] = []
    with DAG(f"promote_unevaluated_{on_reject}", schedule=None, default_args=RETRYING) as dag:
        alert = [lambda context: calls.append(context["verdict"])]
        train(1, data, LINEAR, model_name) >> promote(1, model_name, on_reject=on_reject, alerts=alert)
    outcome = run_dag(dag)
    assert outcome.states["promote_1"] == state
    verdict = outcome.xcoms["promote_1"]
    assert "was never evaluated: run EvaluateModelOperator first" in verdict["reasons"][0]
    assert calls == [verdict]
    assert by_alias(registry, model_name, CHAMPION) is None
    if on_reject == "fail":
        assert type(outcome.errors["promote_1"]) is RejectedError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_name": "no such model"}, "'no such model' has no version with alias 'challenger'"),
        ({"model_name": NAME, "version": 99}, f"'{NAME}' has no version 99"),
        ({"model_name": NAME, "version": "latest"}, "must be a number; got 'latest'"),
        ({"model_name": NAME, "mlflow_conn_id": "nowhere"}, "no connection 'nowhere'"),
    ],
)
def test_what_does_not_exist_fails_at_once(
    run_dag: Callable[..., Any], rounds: Any, settings: dict[str, Any], message: str
) -> None:
    with DAG("promote_nothing", schedule=None, default_args=RETRYING) as dag:
        PromoteModelOperator(task_id="promote", **settings)
    outcome = run_dag(dag)
    assert outcome.states["promote"] == "failed"
    assert type(outcome.errors["promote"]) is InvalidInputError
    assert message in str(outcome.errors["promote"])


def test_a_champion_that_moved_between_evaluation_and_promotion_makes_the_blessing_stale(
    run_dag: Callable[..., Any], data: str, model_name: str, registry: Any
) -> None:
    with DAG("promote_stale", schedule=None) as dag:

        @task
        def move_the_champion() -> None:
            with open_registry(embedded_server()) as other:
                other.client.set_registered_model_alias(model_name, CHAMPION, "1")

        chain(
            train(1, data, STUMP, model_name),
            train(2, data, LINEAR, model_name),
            evaluate(2, data, model_name),
            move_the_champion(),
            promote(2, model_name, on_reject="continue"),
        )
    outcome = run_dag(dag)
    (reason,) = outcome.xcoms["promote_2"]["reasons"]
    assert "was evaluated against champion none, but the champion is 1 now: evaluate it again" in reason
    assert outcome.xcoms["evaluate_2"]["champions_set_by_hand"] == []
    assert outcome.xcoms["promote_2"]["champions_set_by_hand"] == ["1"]
    assert by_alias(registry, model_name, CHAMPION).version == "1"


def test_a_blessing_that_was_tampered_with_fails_the_promotion(
    run_dag: Callable[..., Any], data: str, model_name: str, registry: Any
) -> None:
    with DAG("promote_tampered", schedule=None, default_args=RETRYING) as dag:

        @task
        def tamper(evaluation: str) -> None:
            with open_registry(embedded_server()) as other:
                folder = other.client.get_run(evaluation).info.artifact_uri.removeprefix("file://")
            path = Path(folder) / ARTIFACT
            path.write_text(path.read_text().replace("rubber_stamped", "blessed"))

        tampered = tamper("{{ ti.xcom_pull('evaluate_1')['run_id'] }}")
        chain(train(1, data, LINEAR, model_name), evaluate(1, data, model_name), tampered, promote(1, model_name))
    outcome = run_dag(dag)
    assert outcome.states["promote_1"] == "failed"
    assert "is not the one that was recorded" in str(outcome.errors["promote_1"])
    assert by_alias(registry, model_name, CHAMPION) is None
