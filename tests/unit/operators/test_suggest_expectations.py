from __future__ import annotations

import json
import sqlite3
import sys
import types
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.suggest_expectations import SUITE, SuggestExpectationsOperator
from airflow_mlops_provider.operators.validate_data import ValidateDataOperator


class FileHook(DbApiHook):
    conn_name_attr = "sqlite_conn_id"
    conn_type = "suggestlite"

    def get_uri(self) -> str:
        return f"sqlite:///{self.connection.host}"

    def get_conn(self) -> sqlite3.Connection:
        return sqlite3.connect(self.connection.host)


@pytest.fixture(scope="module")
def database(telco: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.airflow_versions import HookInfo, TaskProviders

    path = tmp_path_factory.mktemp("database") / "churn.db"
    with closing(sqlite3.connect(path)) as connection:
        pd.read_csv(telco).to_sql("churn", connection, index=False)
    module = types.ModuleType("suggest_hook_of_tests")
    module.FileHook = FileHook
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        info = HookInfo(f"{module.__name__}.FileHook", "sqlite_conn_id", "tests", "SQLite", "suggestlite", False)
        patch.setitem(TaskProviders().hooks, "suggestlite", info)
        patch.setenv("AIRFLOW_CONN_SUGGESTLITE", json.dumps({"conn_type": "suggestlite", "host": str(path)}))
        yield SqlQuery("SELECT * FROM churn", "suggestlite")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("suites")


@pytest.fixture(scope="module")
def outcome(run_dag: Callable[..., Any], watched: str, telco: Path, folder: Path, database: SqlQuery) -> Any:
    spoilt = folder / "spoilt.csv"
    rows = pd.read_csv(telco).drop(columns="churn")
    rows.assign(contract=rows["contract"].str.upper(), tenure=rows["tenure"].where(rows.index % 4 > 0)).to_csv(
        spoilt, index=False
    )
    fresh = folder / "fresh.csv"
    rows.sample(500, random_state=1).to_csv(fresh, index=False)
    taken = folder / "taken.json"
    taken.write_text("reviewed by hand")
    path = str(folder / "suggested.json")
    validated = {"on_reject": "continue", "max_missing_share": 0.5}
    with DAG("suggest", schedule=None, params={"folder": str(folder)}) as dag:
        suggest = SuggestExpectationsOperator(
            task_id="suggest", data=str(telco), output_path="{{ params.folder }}/suggested.json"
        )
        SuggestExpectationsOperator(
            task_id="narrow",
            model_name=watched,
            columns=["tenure", "contract"],
            settings={"share_margin": 0.05, "max_set_size": 2},
        )
        SuggestExpectationsOperator(task_id="of_query", data=database)
        SuggestExpectationsOperator(task_id="taken", data=str(telco), output_path=str(taken), retries=2)
        SuggestExpectationsOperator(
            task_id="nowhere", data=str(telco), output_path=str(folder / "absent" / "suite.json")
        )
        suggest >> [
            ValidateDataOperator(task_id="by_file", data=str(telco), suite=path, **validated),
            ValidateDataOperator(task_id="in_database", data=database, suite=path, **validated),
        ]
        for task_id, data in (("fresh_by_model", fresh), ("spoilt_by_model", spoilt)):
            ValidateDataOperator(task_id=task_id, data=str(data), suite="from_model", model_name=watched, **validated)
        ValidateDataOperator(task_id="no_model", data=str(fresh), suite="from_model", model_name="nobody", retries=2)
    return run_dag(dag)


def test_the_suggested_suite_is_a_file_and_an_artifact_and_loads_in_great_expectations(
    outcome: Any, folder: Path, tmp_path: Path
) -> None:
    import great_expectations as gx

    result = outcome.xcoms["suggest"]
    written = json.loads((folder / "suggested.json").read_text())
    assert result["output_path"] == str(folder / "suggested.json")
    assert result["expectations"] == len(written["expectations"]) > 50
    with MlflowHook().open() as registry:
        stored = Path(registry.client.download_artifacts(result["run_id"], SUITE, str(tmp_path)))
        run = registry.client.get_run(result["run_id"])
    assert json.loads(stored.read_text()) == written
    assert result["suite_artifact"] == f"runs:/{result['run_id']}/{SUITE}"
    assert run.data.metrics == {"rows": 7043, "expectations": result["expectations"]}
    suite = gx.ExpectationSuite(**written)
    assert len(suite.expectations) == len(written["expectations"])


def test_good_data_hold_what_was_suggested_on_files_and_inside_the_database(outcome: Any) -> None:
    for task, engine in (("by_file", "pandas"), ("in_database", "sql")):
        verdict = outcome.xcoms[task]
        assert (verdict["passed"], verdict["engine"], verdict["reasons"]) == (True, engine, [])
        assert verdict["statistics"]["expectations_in_error"] == 0
        assert verdict["warnings"] == []


def test_the_champions_suite_passes_fresh_customers_without_labels_and_refuses_spoilt_ones(outcome: Any) -> None:
    assert outcome.xcoms["fresh_by_model"]["passed"] is True
    spoilt = outcome.xcoms["spoilt_by_model"]
    assert spoilt["passed"] is False
    assert any("'contract'" in reason for reason in spoilt["reasons"])
    assert any("'tenure'" in reason for reason in spoilt["reasons"])


def test_columns_and_margins_are_the_users(outcome: Any, tmp_path: Path) -> None:
    with MlflowHook().open() as registry:
        stored = Path(registry.client.download_artifacts(outcome.xcoms["narrow"]["run_id"], SUITE, str(tmp_path)))
    suite = json.loads(stored.read_text())["expectations"]
    assert {one["kwargs"]["column"] for one in suite} == {"tenure", "contract"}
    assert not [one for one in suite if one["type"] == "expect_column_values_to_be_in_set"]  # three contracts
    (nulls,) = [one for one in suite if one["type"].endswith("not_be_null") and one["kwargs"]["column"] == "tenure"]
    assert 0.94 < nulls["kwargs"]["mostly"] < 0.95


def test_a_query_is_profiled_like_a_file(outcome: Any) -> None:
    assert outcome.xcoms["of_query"]["expectations"] == outcome.xcoms["suggest"]["expectations"]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("taken", "exists and is not overwritten"),
        ("nowhere", "cannot be written: No such file or directory"),
        ("no_model", "nobody"),
    ],
)
def test_what_cannot_be_suggested_or_written_fails_without_retry(
    outcome: Any, folder: Path, task: str, message: str
) -> None:
    assert outcome.states[task] == "failed"
    assert type(outcome.errors[task]).__name__ == "InvalidInputError"
    with pytest.raises(Exception, match=message):
        raise outcome.errors[task]
    assert (folder / "taken.json").read_text() == "reviewed by hand"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SuggestExpectationsOperator(task_id="s"), "either data or model_name"),
        (lambda: SuggestExpectationsOperator(task_id="s", data="a", model_name="m"), "either data or model_name"),
        (lambda: SuggestExpectationsOperator(task_id="s", data="a", settings={"margin": 1}), "margin"),
        (lambda: ValidateDataOperator(task_id="v", data="a", suite="from_model"), 'belongs to suite="from_model"'),
        (lambda: ValidateDataOperator(task_id="v", data="a", suite=[], model_name="m"), "the other way round"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_at_parse(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
