from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.new_data import Known, count_new_files, count_new_rows_of_query, known_to_champion
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.sensors.new_data import NewDataSensor
from airflow_mlops_provider.triggers.new_data import NewDataTrigger
from tests.conftest import Bucket
from tests.triggers import flat, run, running, until

MODEL = "churn that grows"


@pytest.fixture(scope="module")
def customers(telco: Path) -> pd.DataFrame:
    return pd.read_csv(telco)


@pytest.fixture(scope="module")
def trained(run_dag: Callable[..., Any], customers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the first 2,000 customers, on which the champion of `MODEL` was trained."""
    folder = tmp_path_factory.mktemp("customers")
    customers.head(2000).to_parquet(folder / "first.parquet", index=False)
    with DAG("train_growing", schedule=None) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=MODEL,
            data=str(folder),
            target="churn",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
    outcome = run_dag(dag)
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(MODEL, "champion", outcome.xcoms["train"]["version"])
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, with the times of its files, to which a test may add."""
    return Path(shutil.copytree(trained, tmp_path / "customers"))


def look(data: Any, **settings: Any) -> dict[str, Any] | None:
    sensor = NewDataSensor(task_id="wait", data=data, **{"model_name": MODEL, "min_rows": 1} | settings)
    return sensor.look({})


def new_rows(data: Any, **settings: Any) -> int:
    found = look(data, **settings)
    return 0 if found is None else found["new_rows"]


def test_what_the_champion_was_trained_on_is_not_new(folder: Path) -> None:
    assert look(str(folder)) is None


def test_a_new_file_counts_with_all_its_rows_and_enough_of_them_end_the_wait(
    folder: Path, customers: pd.DataFrame
) -> None:
    customers.iloc[2000:2500].to_parquet(folder / "second.parquet", index=False)
    assert look(str(folder), min_rows=501) is None
    found = look(str(folder), min_rows=450)
    # A Bloom filter takes one new row in two thousand for an old one, and held-out ones beside it.
    assert found["new_rows"] == pytest.approx(500, abs=3)
    assert (found["new_files"], found["new_bytes"]) == (1, (folder / "second.parquet").stat().st_size)
    assert found["champion_version"] == "1"
    assert found["uri"] == f"file://{folder}"


def test_a_file_that_grew_counts_for_what_was_added(folder: Path, customers: pd.DataFrame) -> None:
    customers.head(2600).to_parquet(folder / "first.parquet", index=False)
    # Which of the old rows were held out is known by their share only, which has a spread of some twenty rows.
    assert new_rows(str(folder)) == pytest.approx(600, abs=40)


def test_a_file_that_was_only_written_again_counts_for_nothing_and_one_with_other_rows_for_all(
    folder: Path, customers: pd.DataFrame
) -> None:
    customers.head(2000).to_parquet(folder / "first.parquet", index=False)
    assert new_rows(str(folder)) <= 40
    customers.iloc[3000:5000].to_parquet(folder / "first.parquet", index=False)
    assert new_rows(str(folder)) == pytest.approx(2000, abs=10)


def test_bytes_are_counted_without_reading(folder: Path) -> None:
    (folder / "second.parquet").write_bytes(b"PAR1 and then nothing")
    found = look(str(folder), min_rows=None, min_bytes=21)
    assert (found["new_bytes"], found["new_rows"]) == (21, None)
    assert look(str(folder), min_rows=None, min_bytes=22) is None


def test_without_a_champion_all_data_are_new(folder: Path, model_name: str) -> None:
    found = look(str(folder), model_name=model_name, min_rows=2000)
    assert (found["new_rows"], found["champion_version"], found["since"]) == (2000, None, None)
    assert look(str(folder), model_name=model_name, min_rows=2001) is None


def test_without_a_model_files_after_a_time_are_new(folder: Path, customers: pd.DataFrame) -> None:
    os.utime(folder / "first.parquet", (0, datetime(2026, 3, 1, tzinfo=UTC).timestamp()))
    settings = {"model_name": None}
    assert new_rows(str(folder), newer_than="2026-02-28", **settings) == 2000
    assert new_rows(str(folder), newer_than="2026-03-01T00:00:00", **settings) == 0
    assert new_rows(str(folder), newer_than="2026-03-01T00:30:00+01:00", **settings) == 2000
    assert new_rows(str(folder), **settings) == 2000
    with pytest.raises(InputError, match="newer_than must be a time"):
        look(str(folder), newer_than="yesterday", **settings)


def test_training_data_from_a_clock_that_was_ahead_do_not_hide_later_files(
    folder: Path, customers: pd.DataFrame
) -> None:
    known = known_to_champion("mlflow_default", MODEL)
    assert known.since is not None
    assert known.since <= datetime.now(UTC)
    ahead = time.time() + timedelta(days=1).total_seconds()
    os.utime(folder / "first.parquet", (ahead, ahead))
    customers.iloc[2000:2500].to_parquet(folder / "second.parquet", index=False)
    # The old file looks new by its time, and its rows are recognised.
    assert new_rows(str(folder)) == pytest.approx(500, abs=40)


def test_rows_without_the_columns_that_tell_rows_apart_are_all_new(folder: Path, customers: pd.DataFrame) -> None:
    for path in folder.iterdir():
        path.unlink()
    customers.head(300).drop(columns="tenure").to_parquet(folder / "other.parquet", index=False)
    assert new_rows(str(folder)) == 300


def test_data_that_are_not_there_are_waited_for_and_damaged_ones_are_not(tmp_path: Path, run_dag: Any) -> None:
    assert look(str(tmp_path / "absent"), model_name=None) is None
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and then nothing")
    with DAG("damaged", schedule=None) as dag:
        NewDataSensor(task_id="wait", data=str(damaged), min_rows=1, retries=3)
    assert isinstance(run_dag(dag).errors["wait"], InvalidInputError)


def test_a_file_that_goes_away_while_it_is_counted_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr("airflow_mlops_provider.data.file_object.LocalFile.identity", gone)
    assert look(str(folder)) is None


@pytest.fixture
def database(customers: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "customers.db"
    with sqlite3.connect(path) as connection:
        customers.head(2700).to_sql("customers", connection)
    connection.close()
    monkeypatch.setenv("AIRFLOW_CONN_CUSTOMERS_DB", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


def test_the_database_counts_a_query_and_rows_beyond_those_of_training_are_new(database: Path) -> None:
    query = SqlQuery("SELECT * FROM customers WHERE tenure >= 0 -- all of them", "customers_db")
    assert look(query, min_rows=701) is None
    found = look(query, min_rows=700)
    assert (found["new_rows"], found["new_bytes"], found["uri"]) == (700, None, "sql://customers_db")
    bound = SqlQuery("SELECT * FROM customers WHERE contract = :kind;", "customers_db", {"kind": "no such"})
    assert count_new_rows_of_query(bound, Known(label="ever")).rows == 0


def test_a_query_that_is_wrong_fails(database: Path) -> None:
    with pytest.raises(InputError, match="no such table"):
        look(SqlQuery("SELECT * FROM nowhere", "customers_db"))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_rows": 1, "min_bytes": 1},
        {"min_rows": 0},
        {"min_bytes": -5},
        {"min_rows": True},
        {"min_rows": 1, "model_name": "m", "newer_than": "2026-01-01"},
        {"data": SqlQuery("SELECT 1", "db"), "min_bytes": 1},
        {"data": SqlQuery("SELECT 1", "db"), "min_rows": 1, "newer_than": "2026-01-01"},
        {"data": SqlQuery("SELECT 1", "db"), "min_rows": 1, "deferrable": True},
    ],
)
def test_settings_that_contradict_each_other_are_refused_when_the_dag_is_parsed(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        NewDataSensor(task_id="wait", **{"data": "a.csv"} | settings)


def test_deferred_it_waits_for_changed_files(folder: Path, customers: pd.DataFrame) -> None:
    sensor = NewDataSensor(task_id="wait", data=str(folder), model_name=MODEL, min_rows=400, deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    assert isinstance(caught.value.trigger, NewDataTrigger)
    assert caught.value.trigger.paths == [str(folder)]
    customers.iloc[2000:2500].to_parquet(folder / "second.parquet", index=False)
    assert sensor.execute_complete({}, {"state": "other"}, until=time.time() + 60)["new_rows"] >= 497
    (folder / "second.parquet").unlink()
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute_complete({}, {"state": "other"}, until=time.time() - 1)


def test_nothing_is_read_where_no_file_is_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> Any:
        raise AssertionError("a file was read")

    monkeypatch.setattr("airflow_mlops_provider.operators.new_data._unseen_rows", read)
    known = known_to_champion("mlflow_default", MODEL)
    assert count_new_files(str(folder), known, with_rows=True).rows == 0


def test_in_s3_it_counts_what_the_champion_was_not_trained_on_and_the_triggerer_sees_what_comes(
    s3: Bucket, folder: Path, customers: pd.DataFrame, airflow_home: Path
) -> None:
    # As after a copy to another place: the objects are younger than the champion, and their rows are known.
    s3.put("customers/first.parquet", (folder / "first.parquet").read_bytes())
    assert new_rows(s3.uri("customers/"), min_rows=50) == 0
    settings: dict[str, Any] = {"model_name": MODEL, "min_rows": 400, "deferrable": True, "poke_interval": 0.01}
    sensor = NewDataSensor(task_id="wait", data=s3.uri("customers/*.parquet"), **settings)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    assert caught.value.trigger.paths == [s3.uri("customers/*.parquet")]
    customers.iloc[2000:2500].to_parquet(folder / "second.parquet", index=False)
    second = (folder / "second.parquet").read_bytes()

    async def deliver_while_it_is_watched() -> list[Any]:
        async with running(caught.value.trigger) as found:
            await asyncio.to_thread(s3.put, "customers/second.parquet", second)
            await until(lambda: flat(found))
        return flat(found)

    (event,) = run(deliver_while_it_is_watched())
    result = sensor.execute_complete({}, event, until=time.time() + 60)
    assert result["new_rows"] == pytest.approx(500, abs=40)
    assert (result["new_files"], result["uri"]) == (2, s3.uri("customers/*.parquet"))
    settings = {"model_name": None, "min_rows": None, "min_bytes": len(second)}
    since = s3.client.head_object(Bucket=s3.name, Key="customers/second.parquet")["LastModified"] - timedelta(seconds=1)
    assert look(s3.uri("customers/second.parquet"), newer_than=since.isoformat(), **settings)["new_files"] == 1
    assert look(s3.uri("customers/nothing/"), **settings) is None
    s3.put("customers/_unfinished.abc", b"{}")
    assert look(s3.uri("customers/"), newer_than=since.isoformat(), **settings) is None
