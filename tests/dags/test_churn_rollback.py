"""The rollback DAG after two promotions, and what the history says of it all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG, chain
from sklearn.datasets import load_breast_cancer

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook, embedded_server
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.model_history import ModelHistoryOperator
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator
from airflow_mlops_provider.operators.rollback_model import RollbackModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.models import MODEL_FILE
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHAMPION, by_alias, by_number

NAME = "rolled back"


def rollback_dag() -> DAG:
    from tests.airflow_versions import DagBag

    bag = DagBag(str(Path(__file__).resolve().parents[2] / "dags" / "churn_rollback.py"))
    assert bag.import_errors == {}
    return bag.dags["churn_rollback"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "breast_cancer.csv"
    load_breast_cancer(as_frame=True).frame.iloc[:, -6:].to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="module")
def promoted(run_dag: Callable[..., Any], data: str) -> Any:
    """Three champions, one after the other; the last evaluation rejects a fourth."""
    with DAG("promoted_thrice", schedule=None) as dag:
        tasks: list[Any] = []
        for number in range(1, 5):
            tasks += [
                TrainModelOperator(
                    task_id=f"train_{number}",
                    model_name=NAME,
                    data=data,
                    target="target",
                    estimator="sklearn.linear_model.LogisticRegression",
                    folds=0,
                    seed=number,
                ),
                EvaluateModelOperator(
                    task_id=f"evaluate_{number}",
                    model_name=NAME,
                    data=data,
                    gates=[{"gate": "min_rows", "rows": 30 if number < 4 else 10**6}],
                    on_reject="continue",
                ),
            ]
            if number < 4:
                tasks.append(PromoteModelOperator(task_id=f"promote_{number}", model_name=NAME))
        chain(*tasks)
    outcome = run_dag(dag)
    assert outcome.errors == {}
    return outcome


def test_the_dag_goes_back_one_champion_and_tells_the_whole_history(run_dag: Callable[..., Any], promoted: Any) -> None:
    outcome = run_dag(rollback_dag(), conf={"model_name": NAME, "reason": "calls the wrong people"})
    assert outcome.state == "success"
    result = outcome.xcoms["rollback"]
    assert (result["version"], result["previous_champion"], result["changed"]) == ("2", "3", True)
    history = outcome.xcoms["history"]
    assert history["champion"] == "2"
    assert [(one["version"], one["kind"]) for one in history["reigns"]] == [
        ("1", "promote"),
        ("2", "promote"),
        ("3", "promote"),
        ("2", "rollback"),
    ]
    last = history["reigns"][-1]
    assert (last["reason"], last["until"], last["by"]["dag_id"]) == ("calls the wrong people", None, "churn_rollback")
    assert history["reigns"][0]["until"] == history["reigns"][1]["since"]
    assert history["reigns"][0]["by"]["task_id"] == "promote_1"
    (rejected,) = [one for one in history["entries"] if one["kind"] == "reject"]
    assert (rejected["version"], rejected["previous_champion"]) == ("4", "3")
    assert "rows" in rejected["reason"]
    assert MlflowHook().get_model_history(NAME)["reigns"] == history["reigns"]
    with open_registry(embedded_server()) as registry:
        assert by_alias(registry, NAME, CHAMPION).version == "2"


def test_the_dag_asks_for_a_reason(airflow_home: Path) -> None:
    params = rollback_dag().params
    assert params.get_param("reason").schema["minLength"] == 5
    for nothing in (None, "bad"):
        with pytest.raises(ParamValidationError, match=r"is not of type 'string'|is too short"):
            params.get_param("reason").resolve(nothing)


def test_a_tampered_version_is_neither_judged_nor_gone_back_to(
    run_dag: Callable[..., Any], data: str, promoted: Any
) -> None:
    """One file of version 4 is exchanged for that of version 1, which is a whole and honest model."""
    with open_registry(embedded_server()) as registry:
        places = []
        for number in ("1", "4"):
            model_id = by_number(registry, NAME, number).model_id
            places.append(Path(registry.client.get_logged_model(model_id).artifact_location.removeprefix("file://")))
    (places[1] / MODEL_FILE).write_bytes((places[0] / MODEL_FILE).read_bytes())
    with DAG("tampered", schedule=None) as dag:
        EvaluateModelOperator(task_id="evaluate", model_name=NAME, data=data, version=4, gates=["min_rows"])
        RollbackModelOperator(task_id="rollback", model_name=NAME, to_version=4, reason="to the wrong one")
    outcome = run_dag(dag)
    said = {
        "evaluate": f"not those that were trained: {MODEL_FILE}",
        "rollback": "was never champion, and its evaluation rejected it",
    }
    for task_id, words in said.items():
        assert outcome.states[task_id] == "failed"
        assert type(outcome.errors[task_id]) is InvalidInputError
        assert words in str(outcome.errors[task_id])


@pytest.mark.parametrize("last", [0, -1, 1.5, True, "3"])
def test_a_history_of_no_length_is_refused_when_the_dag_is_parsed(last: object) -> None:
    with pytest.raises(InputError, match="last of ModelHistoryOperator"):
        ModelHistoryOperator(task_id="h", model_name="m", last=last)


def test_a_rollback_without_a_reason_is_refused(run_dag: Callable[..., Any], promoted: Any) -> None:
    with DAG("no_reason", schedule=None) as dag:
        RollbackModelOperator(task_id="rollback", model_name=NAME, reason="{{ '' }}")
    outcome = run_dag(dag)
    assert type(outcome.errors["rollback"]) is InvalidInputError
    assert "reason of RollbackModelOperator" in str(outcome.errors["rollback"])


def test_the_history_of_an_unknown_model_is_empty(run_dag: Callable[..., Any]) -> None:
    with DAG("no_history", schedule=None) as dag:
        ModelHistoryOperator(task_id="history", model_name="nobody knows it")
    assert run_dag(dag).xcoms["history"] == {
        "model_name": "nobody knows it",
        "champion": None,
        "reigns": [],
        "entries": [],
        "total_entries": 0,
    }
