from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, chain, task
from sklearn.datasets import load_breast_cancer

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.min_metric import MinMetric
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.blessings import TAG, read_blessing
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, by_alias, by_number

NAME = "evaluated by operators"
RETRYING = {"retries": 2, "retry_delay": timedelta(0)}
IMPOSSIBLE = {"gate": "min_metric", "metric": "roc_auc", "threshold": 0.9999}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The table, and versions of it that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("data")
    frame = load_breast_cancer(as_frame=True).frame
    variants = {
        "good": frame,
        "no_target": frame.drop(columns="target"),
        "no_labels": frame.assign(target=None),
        "no_column": frame.drop(columns="mean radius"),
        "strange_class": frame.assign(target=frame["target"] + 5),
        "text_in_number": frame.assign(**{"mean radius": "large"}),
    }
    for name, table in variants.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return {name: str(folder / f"{name}.csv") for name in variants} | {"nothing": str(folder / "nothing.csv")}


@pytest.fixture(scope="module")
def evaluations(run_dag: Callable[..., Any], data: dict[str, str]) -> Any:
    """A stump becomes champion by hand; a linear model challenges it in many evaluations of one DAG run."""

    def train(task_id: str, estimator: object) -> TrainModelOperator:
        return TrainModelOperator(
            task_id=task_id,
            model_name=NAME,
            data=data["good"],
            target="target",
            estimator=estimator,
            folds=0,
            split={"holdout_share": 0.4},
        )

    def evaluate(task_id: str, **settings: Any) -> EvaluateModelOperator:
        return EvaluateModelOperator(
            **{"task_id": task_id, "model_name": NAME, "data": data["good"], "trigger_rule": "all_done"} | settings
        )

    with DAG("evaluate_rounds", schedule=None, default_args=RETRYING, params={"least": 0.9}) as dag:

        @task
        def crown() -> None:
            with open_registry(embedded_server()) as registry:
                registry.client.set_registered_model_alias(NAME, CHAMPION, "1")

        bad = ["no_target", "no_labels", "no_column", "strange_class", "text_in_number", "nothing"]
        chain(
            train("first", {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 1}}),
            evaluate("rubber_stamped"),
            evaluate("value_gates_hold", gates=["same_signature", IMPOSSIBLE], on_reject="continue"),
            crown(),
            evaluate("champion_itself", version=1),
            train("second", "sklearn.linear_model.LogisticRegression"),
            evaluate(
                "templated",
                model_name="{{ 'evaluated by operators' }}",
                version="{{ ti.xcom_pull('second')['version'] }}",
                gates=["min_rows", {"gate": "min_metric", "metric": "roc_auc", "threshold": "{{ params.least }}"}],
            ),
            evaluate("gates_as_text", gates="[\"{{ 'min_rows' }}\"]"),
            evaluate("gate_object", gates=[MinMetric(metric="roc_auc", threshold=0.9)]),
            evaluate("fail", gates=[IMPOSSIBLE]),
            evaluate("skip", gates=[IMPOSSIBLE], on_reject="skip"),
            evaluate("go_on", gates=[IMPOSSIBLE], on_reject="continue"),
            evaluate("nan_threshold", gates=[{"gate": "min_metric", "metric": "roc_auc", "threshold": "{{ 'nan' }}"}]),
            evaluate("metric_of_another_task", gates=[{"gate": "min_metric", "metric": "rmse", "threshold": 1.0}]),
            evaluate("no_such_model", model_name="nobody"),
            *(evaluate(name, data=data[name]) for name in bad),
            evaluate("blessed"),
        )
        dag.render_template_as_native_obj = True
        for one in dag.tasks:
            one.trigger_rule = "all_done"
    return run_dag(dag)


@pytest.fixture
def registry():
    with open_registry(embedded_server()) as registry:
        yield registry


def test_the_first_model_is_rubber_stamped_and_gates_of_change_are_skipped(evaluations: Any) -> None:
    result = evaluations.xcoms["rubber_stamped"]
    assert (result["passed"], result["verdict"], result["champion_version"]) == (True, "rubber_stamped", None)
    assert [(one["gate"], one["skipped"]) for one in result["gates"]] == [
        ("min_rows", False),
        ("beats_baseline", False),
        ("better_than_champion", True),
    ]
    assert set(result["metrics"]) == {"challenger", "baseline"}


def test_the_first_model_must_still_pass_the_gates_of_value(evaluations: Any) -> None:
    result = evaluations.xcoms["value_gates_hold"]
    assert (result["passed"], result["verdict"]) == (False, "not_blessed")
    assert [(one["gate"], one["passed"], one["skipped"]) for one in result["gates"]] == [
        ("same_signature", True, True),
        ("min_metric", False, False),
    ]


def test_a_better_challenger_is_blessed_on_rows_that_neither_saw(evaluations: Any) -> None:
    result = evaluations.xcoms["blessed"]
    assert (result["verdict"], result["version"], result["champion_version"]) == ("blessed", "2", "1")
    assert result["metrics"]["challenger"]["value"] > result["metrics"]["champion"]["value"]
    trained = evaluations.xcoms["second"]["rows"]
    assert result["rows"]["judged"] + result["rows"]["left_out"] == 569
    # A handful of unseen rows may be taken for seen ones.
    assert trained["holdout"] - 5 <= result["rows"]["judged"] <= trained["holdout"]
    assert json.loads(json.dumps(result)) == result


def test_templates_texts_and_objects_are_gates(evaluations: Any) -> None:
    assert [one["gate"] for one in evaluations.xcoms["templated"]["gates"]] == ["min_rows", "min_metric"]
    assert evaluations.xcoms["gates_as_text"]["verdict"] == "blessed"
    assert evaluations.xcoms["gate_object"]["verdict"] == "blessed"


@pytest.mark.parametrize(("task_id", "state"), [("fail", "failed"), ("skip", "skipped"), ("go_on", "success")])
def test_a_bad_verdict_does_what_on_reject_says_and_is_in_the_xcom_all_the_same(
    evaluations: Any, task_id: str, state: str
) -> None:
    assert evaluations.states[task_id] == state
    assert evaluations.xcoms[task_id]["verdict"] == "not_blessed"
    assert "roc_auc" in evaluations.xcoms[task_id]["reasons"][0]
    assert (type(evaluations.errors.get(task_id)) is RejectedError) == (state == "failed")


@pytest.mark.parametrize(
    ("task_id", "message"),
    [
        ("champion_itself", "version 1 of model 'evaluated by operators' is the champion itself"),
        ("nan_threshold", "threshold of gate 'min_metric' must be a finite number; got 'nan'"),
        ("metric_of_another_task", "Unknown binary metric 'rmse'"),
        ("no_such_model", "Model 'nobody' has no version with alias 'challenger'"),
        ("no_target", "lack the target 'target' of version 2"),
        ("no_labels", "Target 'target' is null in"),
        ("no_column", "lack the feature columns ['mean radius']"),
        ("strange_class", "classes the model was not trained on: ['5', '6']"),
        ("text_in_number", "Feature 'mean radius' is numeric to the model, but the data hold"),
        ("nothing", "nothing.csv"),
    ],
)
def test_what_cannot_be_judged_fails_at_once_and_says_why(evaluations: Any, task_id: str, message: str) -> None:
    assert evaluations.states[task_id] == "failed"
    assert type(evaluations.errors[task_id]) is InvalidInputError
    assert message in str(evaluations.errors[task_id])
    assert task_id not in evaluations.xcoms


def test_the_blessing_is_bound_to_both_versions_and_holds_the_whole_evidence(
    evaluations: Any, registry: Any, tmp_path: Path
) -> None:
    version = by_number(registry, NAME, "2")
    blessing = read_blessing(registry, version)
    assert (blessing["verdict"], blessing["version"], blessing["champion_version"]) == ("blessed", "2", "1")
    assert blessing["model_id"] == version.model_id is not None
    assert blessing["evaluated_by"]["task_id"] == "blessed"
    assert set(blessing["metrics"]) == {"challenger", "champion", "baseline"}
    assert {one["gate"] for one in blessing["results"]} == {"min_rows", "beats_baseline", "better_than_champion"}
    assert blessing["fingerprint"]["sha256"] == evaluations.xcoms["second"]["fingerprint"]["sha256"]
    assert json.loads(version.tags[TAG])["run_id"] == evaluations.xcoms["blessed"]["run_id"]
    report = registry.client.download_artifacts(
        evaluations.xcoms["blessed"]["run_id"], "blessing/blessing.html", str(tmp_path)
    )
    assert "Blessed" in Path(report).read_text()


def test_the_run_in_mlflow_shows_every_side_and_the_data(evaluations: Any, registry: Any) -> None:
    run = registry.client.get_run(evaluations.xcoms["blessed"]["run_id"])
    assert run.data.metrics["challenger_roc_auc"] > run.data.metrics["champion_roc_auc"]
    assert run.data.metrics["baseline_roc_auc"] == 0.5
    assert run.data.tags["mlops.verdict"] == "blessed"
    assert run.data.tags["airflow.operator"] == "EvaluateModelOperator"
    (entry,) = run.inputs.dataset_inputs
    assert [tag.value for tag in entry.tags] == ["evaluation"]


def test_an_evaluation_moves_no_alias(evaluations: Any, registry: Any) -> None:
    assert by_alias(registry, NAME, CHAMPION).version == "1"
    assert by_alias(registry, NAME, CHALLENGER).version == "2"


def test_a_version_that_others_registered_carries_no_evidence(
    run_dag: Callable[..., Any], data: dict[str, str], model_name: str, registry: Any
) -> None:
    registry.client.create_registered_model(model_name)
    registry.client.create_model_version(model_name, source="s3://bucket/model")
    registry.client.set_registered_model_alias(model_name, CHALLENGER, "1")
    with DAG("evaluate_foreign", schedule=None, default_args=RETRYING) as dag:
        EvaluateModelOperator(task_id="evaluate", model_name=model_name, data=data["good"])
    outcome = run_dag(dag)
    assert "carries no evidence. Hint: train it with TrainModelOperator" in str(outcome.errors["evaluate"])
    assert outcome.states["evaluate"] == "failed"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gates": []}, "gates must not be empty"),
        ({"gates": ["min_rws"]}, "Unknown gate 'min_rws'.*did you mean 'min_rows'"),
        ({"gates": ["min_rws", {"gate": "min_metric", "threshold": "{{ x }}"}]}, "Unknown gate 'min_rws'"),
        ({"gates": [{"gate": "min_metric", "metric": "roc_auc", "threshold": float("nan")}]}, "finite number; got nan"),
        ({"gates": [{"gate": "min_metric", "metric": "auc", "threshold": 0.5}]}, "Unknown metric 'auc'"),
        ({"gates": [{"gate": "min_metric", "limit": 0.5}]}, "Unknown parameter of gate 'min_metric'"),
        ({"confidence": 1.0}, "confidence of EvaluateModelOperator must lie between 0 and 1; got 1.0"),
        ({"on_reject": "ignore"}, "on_reject of EvaluateModelOperator must be one of"),
    ],
)
def test_wrong_settings_are_found_when_the_dag_is_parsed(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EvaluateModelOperator(**{"task_id": "evaluate", "model_name": "m", "data": "x.csv"} | settings)
