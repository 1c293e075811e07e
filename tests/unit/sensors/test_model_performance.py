from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.sensors.model_performance import ModelPerformanceSensor

ROWS = 600


@pytest.fixture(scope="module")
def tables(watched: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Scores with an area under the ROC curve of about 0.85, and labels in several states."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(4)
    probability = rng.beta(0.7, 1.8, ROWS)
    with MlflowHook().open() as registry:
        version = registry.client.get_model_version_by_alias(watched, "champion").version
    scores = pd.DataFrame(
        {
            "customer": range(ROWS),
            "prediction": np.where(probability > 0.5, "Yes", "No"),
            "probability": probability,
            "model_version": str(version),
            "scored_at": pd.to_datetime(["2026-01-01"] * ROWS, utc=True),
        }
    )
    truth = pd.DataFrame({"customer": range(ROWS), "churn": np.where(rng.random(ROWS) < probability, "Yes", "No")})
    made = {
        "scores": scores,
        "good": truth,
        "few": truth.head(60),
        "others": truth.assign(customer=truth["customer"] + 10_000),
        "bad": truth.assign(churn=truth["churn"].sample(frac=1, random_state=1).to_numpy()),
        "contradicting": pd.concat([truth, truth.head(2).replace({"Yes": "No", "No": "Yes"})]),
    }
    for name, table in made.items():
        if name == "scores":
            table.to_parquet(folder / "scores.parquet", index=False)
        else:
            table.to_csv(folder / f"{name}.csv", index=False)
    return {name: folder / f"{name}.{'parquet' if name == 'scores' else 'csv'}" for name in made}


@pytest.fixture
def wait(run_dag: Callable[..., Any], watched: str, tables: dict[str, Path]) -> Callable[..., Any]:
    """Run the sensor as the only task of a real DAG run."""

    def run(**settings: Any) -> Any:
        arguments = {
            "model_name": watched,
            "predictions": str(tables["scores"]),
            "key_columns": ["customer"],
            "poke_interval": 0.2,
            "timeout": 120,
            "window_end": "2026-02-02",
        }
        with DAG(dag_id=f"wait_{uuid4().hex[:8]}", schedule=None) as dag:
            ModelPerformanceSensor(task_id="wait", **arguments | settings)
        return run_dag(dag)

    return run


@pytest.fixture
def later(tables: dict[str, Path]) -> Iterator[Callable[..., None]]:
    """Put labels in place while the sensor waits, each at once as a careful writer does."""
    threads: list[threading.Thread] = []

    def start(target: Path, *names: str) -> None:
        def work() -> None:
            for name in names:
                time.sleep(1.0)
                part = target.with_name(f"_{target.name}")
                part.write_bytes(tables[name].read_bytes())
                part.rename(target)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def broken_pager(context: Any) -> None:
    raise ConnectionError("the pager is away")


def checks_of(experiment: str) -> list[Any]:
    with MlflowHook().open() as registry:
        found = registry.client.search_runs([registry.experiment_id(experiment)])
    return [run for run in found if "mlops.check" in run.data.tags]


@pytest.mark.parametrize("deferrable", [False, True])
def test_it_waits_while_labels_are_absent_few_of_others_or_good_and_ends_with_a_drop(
    wait: Callable[..., Any], later: Callable[..., None], tmp_path: Path, deferrable: bool
) -> None:
    target = tmp_path / "labels.csv"
    later(target, "few", "others", "good", "bad")
    heard: list[Any] = []
    experiment = f"waiting {uuid4().hex[:8]}"
    outcome = wait(
        labels=str(target),
        deferrable=deferrable,
        experiment_name=experiment,
        alerts=[broken_pager, lambda context: heard.append(context["verdict"])],
    )
    assert outcome.errors == {}
    result = outcome.xcoms["wait"]
    assert (outcome.states["wait"], result["verdict"], result["passed"]) == ("success", "drop", False)
    (check,) = checks_of(experiment)  # of all its looks, the one that found the drop
    assert check.info.run_id == result["run_id"]
    assert check.data.tags["airflow.operator"] == "ModelPerformanceSensor"
    assert [one["verdict"] for one in heard] == ["drop"]
    assert result["alerts_failed"] == ["broken_pager"]


def test_it_can_wait_for_labels_alone(wait: Callable[..., Any], later: Callable[..., None], tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    later(target, "few", "good")
    outcome = wait(labels=str(target), wait_for="labels", mode="reschedule")
    assert outcome.states["wait"] == "success"
    result = outcome.xcoms["wait"]
    assert (result["verdict"], result["passed"], result["labelled_rows"]) == ("no_drop", True, ROWS)


def test_it_ends_at_its_timeout_without_a_drop_and_at_once_where_there_can_be_no_verdict(
    wait: Callable[..., Any], tables: dict[str, Path]
) -> None:
    late = wait(labels=str(tables["good"]), timeout=0.1, retries=0)
    assert isinstance(late.errors["wait"], AirflowSensorTimeout)
    wrong = wait(labels=str(tables["contradicting"]), retries=3)
    assert "2 keys in ['customer'] have two different labels" in str(wrong.errors["wait"])


def test_the_triggerer_watches_scores_and_labels(tables: dict[str, Path], tmp_path: Path, airflow_home: Path) -> None:
    xcom = {"output": tables["scores"].as_uri(), "published": True}
    sensor = ModelPerformanceSensor(
        task_id="wait",
        model_name="m",
        predictions=[xcom],
        labels=str(tmp_path / "labels.csv"),
        key_columns=["customer"],
        deferrable=True,
    )
    sensor.look = lambda context: None  # type: ignore[method-assign]
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    assert caught.value.trigger.paths == [tables["scores"].as_uri(), str(tmp_path / "labels.csv")]


def test_what_cannot_be_waited_for_shows_when_the_dag_is_parsed() -> None:
    given: dict[str, Any] = {"task_id": "wait", "model_name": "m", "predictions": "a", "key_columns": ["id"]}
    with pytest.raises(InputError, match="watches files; got SqlQuery"):
        ModelPerformanceSensor(**given, labels=SqlQuery("SELECT 1", "db"), deferrable=True)
    with pytest.raises(InputError, match="wait_for of ModelPerformanceSensor must be one of drop, labels"):
        ModelPerformanceSensor(**given, labels="b", wait_for="rise")
