from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from airflow.sdk import DAG, task
from sklearn.datasets import load_breast_cancer

from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators import train_model
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.adoption import OP_TAG
from airflow_mlops_provider.registry.session import open_registry
from tests.limits import full_disk

RETRYING = {"retries": 1, "retry_delay": timedelta(0)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    load_breast_cancer(as_frame=True).frame.iloc[:, -4:].to_csv(path, index=False)
    return path


@pytest.fixture
def first_try_dies(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let the first try fail after its version was registered, after doing something."""
    announce = train_model.emit_version

    def arm(meanwhile: Callable[[], None]) -> None:
        def die_once(*_: object) -> None:
            monkeypatch.setattr(train_model, "emit_version", announce)
            meanwhile()
            raise RuntimeError("the worker lost its node")

        monkeypatch.setattr(train_model, "emit_version", die_once)

    return arm


def training(model_name: str, data: Path, **settings: Any) -> DAG:
    with DAG(f"train_once_{model_name}", schedule=None, default_args=RETRYING) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=model_name,
            data=str(data),
            target="target",
            **{"estimator": "sklearn.linear_model.LogisticRegression", "folds": 0} | settings,
        )
    return dag


def versions(model_name: str) -> list[Any]:
    with open_registry(embedded_server()) as registry:
        found = registry.client.search_model_versions(f"name = '{model_name}'")
        return sorted(found, key=lambda one: int(one.version))


def runs(dag: DAG) -> list[Any]:
    with open_registry(embedded_server()) as registry:
        return list(registry.client.search_runs([registry.experiment_id(dag.dag_id)]))


def test_a_retry_takes_over_the_version_of_the_try_before(
    run_dag: Callable[..., Any], model_name: str, data: Path, first_try_dies: Callable[..., None]
) -> None:
    first_try_dies(lambda: None)
    dag = training(model_name, data)
    outcome = run_dag(dag)
    assert outcome.state == "success"
    (version,) = versions(model_name)
    (run,) = runs(dag)
    result = outcome.xcoms["train"]
    assert (result["version"], result["run_id"]) == (str(version.version), run.info.run_id)
    assert result["metrics"]["roc_auc"]["value"] == run.data.metrics["holdout_roc_auc"]
    assert version.tags[OP_TAG] == run.data.tags[OP_TAG]


def test_another_dag_run_trains_another_version(run_dag: Callable[..., Any], model_name: str, data: Path) -> None:
    assert run_dag(training(model_name, data)).state == "success"
    assert run_dag(training(model_name, data)).state == "success"
    assert [str(one.version) for one in versions(model_name)] == ["1", "2"]


def change(data: Path) -> Callable[[], None]:
    return lambda: data.write_text("\n".join(data.read_text().splitlines()[:-50]) + "\n")


def test_data_that_changed_between_two_tries_are_not_trained_on_silently(
    run_dag: Callable[..., Any], model_name: str, data: Path, first_try_dies: Callable[..., None]
) -> None:
    first_try_dies(change(data))
    outcome = run_dag(training(model_name, data))
    assert outcome.states["train"] == "failed"
    assert type(outcome.errors["train"]) is InvalidInputError
    assert "from other input (data, settings or code)" in str(outcome.errors["train"])
    assert len(versions(model_name)) == 1


def test_force_new_makes_another_version_of_changed_data_and_takes_over_unchanged(
    run_dag: Callable[..., Any], model_name: str, data: Path, first_try_dies: Callable[..., None]
) -> None:
    first_try_dies(lambda: None)
    assert run_dag(training(model_name, data, force_new=True)).xcoms["train"]["version"] == "1"
    first_try_dies(change(data))
    assert run_dag(training(model_name, data, force_new=True)).xcoms["train"]["version"] == "3"
    assert len(versions(model_name)) == 3


def test_a_function_is_taken_over_like_an_estimator(
    run_dag: Callable[..., Any], model_name: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_mlops_provider.decorators import train_model as decorated

    announce = decorated.emit_version

    def die_once(*_: object) -> None:
        monkeypatch.setattr(decorated, "emit_version", announce)
        raise RuntimeError("the worker lost its node")

    monkeypatch.setattr(decorated, "emit_version", die_once)
    with DAG(f"train_function_once_{model_name}", schedule=None, default_args=RETRYING) as dag:

        @task.train_model(model_name=model_name, data=str(data), target="target")
        def fit(X: Any = None, y: Any = None) -> Any:
            from sklearn.linear_model import LogisticRegression

            return LogisticRegression(max_iter=5000).fit(X, y)

        fit()
    outcome = run_dag(dag)
    assert outcome.state == "success"
    assert len(versions(model_name)) == 1


def test_a_time_out_ends_the_task_and_not_only_a_candidate(
    run_dag: Callable[..., Any], model_name: str, data: Path
) -> None:
    with DAG(f"timed_out_{model_name}", schedule=None) as dag:

        @task.train_model(
            model_name=model_name, data=str(data), target="target", execution_timeout=timedelta(seconds=3)
        )
        def fit(X: Any = None, y: Any = None) -> Any:
            import time

            try:
                time.sleep(60)
            except Exception:
                return None

        fit()
    outcome = run_dag(dag)
    assert outcome.states["fit"] == "failed"
    assert type(outcome.errors["fit"]) is AirflowTaskTimeout
    assert versions(model_name) == []


def test_a_full_disk_leaves_no_version_and_no_files(
    model_name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.ensemble import RandomForestClassifier

    from airflow_mlops_provider.registry.models import write_model

    frame = load_breast_cancer(as_frame=True).frame
    forest = RandomForestClassifier(20, random_state=0).fit(frame.iloc[:, :4], frame["target"])
    kinds = dict.fromkeys(frame.columns[:4], "numeric")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(os.listdir(tmp_path))
    with (
        pytest.raises(OSError, match="File too large"),
        full_disk(largest_file_bytes=16_384),
        tempfile.TemporaryDirectory() as folder,
    ):
        write_model(forest, Path(folder) / "model", kinds=kinds, task="binary", requirements=[])
    assert set(os.listdir(tmp_path)) == before
    assert versions(model_name) == []
