from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.operators.validate_data import REPORT, RESULT, ValidateDataOperator

MARKER = "SECRET-4711"
GOOD = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "tenure", "min_value": 0}}
BAD = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "tenure", "max_value": 60}}
Validate = Callable[..., Any]


class SqliteFileHook(DbApiHook):
    """Airflow's own SQLite hook is in a provider of its own; this is what it does."""

    conn_name_attr = "sqlite_conn_id"
    default_conn_name = "sqlite_default"
    conn_type = "sqlite"
    fetched: list[Any] = []  # noqa: RUF012  # shared on purpose: the test reads what tasks fetched

    def get_uri(self) -> str:
        return f"sqlite:///{self.connection.host}"

    def get_conn(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.connection.host)
        connection.row_factory = lambda _, row: self.fetched.append(row) or row
        return connection


class NoEngineHook(SqliteFileHook):
    def get_sqlalchemy_engine(self, engine_kwargs: Any = None) -> Any:
        raise NotImplementedError


@pytest.fixture
def database(telco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[SqliteFileHook]:
    """Two Airflow connections to a SQLite database with the churn table: one offers an engine, one does not."""
    import pandas as pd

    from tests.airflow_versions import HookInfo, TaskProviders

    path = tmp_path / "churn.db"
    with closing(sqlite3.connect(path)) as connection:
        pd.read_csv(telco).to_sql("churn", connection, index=False)
    hooks = TaskProviders().hooks
    for conn_type, hook in (("sqlite", SqliteFileHook), ("noengine", NoEngineHook)):
        monkeypatch.setitem(
            hooks,
            conn_type,
            HookInfo(f"{__name__}.{hook.__name__}", "sqlite_conn_id", "tests", "SQLite", conn_type, False),
        )
        setting = json.dumps({"conn_type": conn_type, "host": str(path)})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_type.upper()}_CHURN", setting)
    SqliteFileHook.fetched.clear()
    return SqliteFileHook


@pytest.fixture
def validate(run_dag: Callable[..., Any]) -> Validate:
    """Run the operator as the only task of a real DAG run."""

    def run(**settings: Any) -> Any:
        with DAG(dag_id=f"validate_{uuid4().hex[:8]}", schedule=None) as dag:
            ValidateDataOperator(task_id="validate", **{"suite": [GOOD], **settings})
        return run_dag(dag, conf=None)

    return run


def mlflow_run(result: dict[str, Any], folder: Path) -> tuple[Any, dict[str, Any], str]:
    """Return the MLflow run of a result, its JSON artifact and its report."""
    from airflow_mlops_provider.hooks.mlflow import MlflowHook

    with MlflowHook().open() as registry:
        files = {
            name: registry.client.download_artifacts(result["run_id"], name, str(folder)) for name in (RESULT, REPORT)
        }
        run = registry.client.get_run(result["run_id"])
    return run, json.loads(Path(files[RESULT]).read_text()), Path(files[REPORT]).read_text()


def csv(folder: Path, text: str) -> str:
    path = folder / "data.csv"
    path.write_text(text)
    return str(path)


def test_good_data_pass_and_leave_their_evidence_in_mlflow(validate: Validate, telco: Path, tmp_path: Path) -> None:
    outcome = validate(data=str(telco), suite=[GOOD, {**BAD, "severity": "warning"}], min_rows=7043)
    assert outcome.state == "success"
    verdict = outcome.xcoms["validate"]
    assert (verdict["passed"], verdict["rows"], verdict["engine"]) == (True, 7043, "pandas")
    assert verdict["warnings"] == ["expect_column_values_to_be_between on 'tenure' fails: 1407 unexpected (20 %)"]
    run, whole, report = mlflow_run(verdict, tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.tags["airflow.task_id"] == "validate"
    assert run.data.tags["airflow.operator"] == "ValidateDataOperator"
    assert run.data.metrics["rows"] == 7043
    assert run.data.metrics["expectations_failed"] == 1
    (dataset,) = run.inputs.dataset_inputs
    assert verdict["data"]["fingerprint"]["sha256"].startswith(dataset.dataset.digest)
    assert whole["expectations"][0]["settings"] == "min_value=0.0"
    assert "Passed" in report
    assert len(json.dumps(verdict)) < 4000


@pytest.mark.parametrize(("on_reject", "state"), [("fail", "failed"), ("skip", "skipped"), ("continue", "success")])
def test_a_bad_verdict_is_delivered_as_asked_and_its_mlflow_run_is_finished(
    validate: Validate, telco: Path, tmp_path: Path, on_reject: str, state: str
) -> None:
    heard: list[Any] = []
    outcome = validate(
        data=str(telco),
        suite=[BAD],
        on_reject=on_reject,
        retries=2,
        alerts=[lambda context: heard.append(context["verdict"])],
    )
    assert outcome.states["validate"] == state
    verdict = outcome.xcoms["validate"]
    assert verdict["reasons"] == ["expect_column_values_to_be_between on 'tenure' fails: 1407 unexpected (20 %)"]
    assert heard == [verdict]
    run, _, report = mlflow_run(verdict, tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.tags["airflow.try_number"] == "1"
    assert "Rejected" in report


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"unique": ["k"]}, "duplicate key k: 1 rows repeat"),
        ({"unique": ["h"]}, "null in the key h: 1 rows"),
        ({"required_columns": ["absent"]}, "column 'absent' is missing"),
        ({"required_columns": {"k": "string"}}, "column 'k' must be of type string; it is integer"),
        ({"max_missing_share": {"h": 0.3, "e": 1}}, "column 'h' misses 1 of 3 values (33.3 %); at most 30 %"),
        ({"max_missing_share": 1.0}, "column 'e' has no value at all"),
        ({"timestamp_column": "t", "max_age": timedelta(days=1)}, "the newest 't' is"),
        ({"timestamp_column": "f", "max_age": timedelta(days=1)}, "in the future"),
        (
            {"suite": [{"type": "expect_column_values_to_be_unique", "kwargs": {"column": "absent"}}]},
            "could not be checked: column 'absent' is missing",
        ),
    ],
)
def test_each_kind_of_bad_data_is_rejected_with_its_reason(
    validate: Validate, tmp_path: Path, settings: dict[str, Any], reason: str
) -> None:
    future = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    path = csv(
        tmp_path,
        f"k,h,e,t,f\n1,1,,2020-01-01T00:00:00Z,{future}\n1,2,,2020-01-01T00:00:00Z,{future}\n2,,,2020-01-01T00:00:00Z,{future}\n",
    )
    exists = {"type": "expect_column_to_exist", "kwargs": {"column": "k"}}
    outcome = validate(data=path, on_reject="continue", **{"suite": [exists], **settings})
    assert outcome.xcoms["validate"]["passed"] is False
    assert any(reason in each for each in outcome.xcoms["validate"]["reasons"])


def test_stale_files_are_rejected(validate: Validate, tmp_path: Path) -> None:
    path = csv(tmp_path, "tenure\n1\n")
    outcome = validate(data=path, max_age=timedelta(hours=1))
    assert outcome.state == "success"
    old = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
    os.utime(path, (old, old))
    outcome = validate(data=path, max_age=timedelta(hours=1))
    assert outcome.states["validate"] == "failed"
    assert "the last modification of the data is" in outcome.xcoms["validate"]["reasons"][0]


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "empty"),
        ("tenure\n", {}, "no rows"),
        ("tenure\n1\n", {"suite": []}, "at least one expectation"),
        ("tenure\n1\n", {"suite": [{"type": "expect_miracles", "kwargs": {}}]}, "knows no 'expect_miracles'"),
        ("tenure\n1\n", {"suite": "absent.json"}, "'absent.json' cannot be read"),
        ("tenure\n1\n", {"min_rows": "{{ 'many' }}"}, "min_rows.*'many' after rendering"),
        ("tenure\n1\n", {"unique": [7]}, r"unique of ValidateDataOperator must hold names of columns; got \[7\]"),
        ("tenure\n1\n", {"timestamp_column": "tenure"}, "must hold times"),
    ],
)
def test_what_cannot_be_validated_fails_without_retry(
    validate: Validate, tmp_path: Path, text: str, settings: dict[str, Any], message: str
) -> None:
    outcome = validate(data=csv(tmp_path, text), on_reject="continue", retries=2, **settings)
    assert outcome.states["validate"] == "failed"
    assert "validate" not in outcome.xcoms
    assert type(outcome.errors["validate"]).__name__ == "InvalidInputError"
    with pytest.raises(Exception, match=message):
        raise outcome.errors["validate"]


def test_an_exception_leaves_a_failed_run_in_mlflow(validate: Validate, tmp_path: Path) -> None:
    from airflow_mlops_provider.hooks.mlflow import MlflowHook

    experiment = f"experiment_{uuid4().hex[:8]}"
    validate(data=csv(tmp_path, ""), experiment_name=experiment)
    with MlflowHook().open() as registry:
        (run,) = registry.client.search_runs([registry.experiment_id(experiment)])
    assert run.info.status == "FAILED"


def test_data_suite_and_thresholds_are_templates(validate: Validate, tmp_path: Path) -> None:
    path = csv(tmp_path, "tenure,id\n1,a\n2,b\n")
    (tmp_path / "suite.json").write_text(json.dumps({"name": "s", "expectations": [GOOD]}))
    outcome = validate(
        data=f"{tmp_path}/{{{{ 'data' }}}}.csv",
        suite=f"{tmp_path}/{{{{ 'suite' }}}}.json",
        min_rows="{{ 1 + 2 }}",
        max_missing_share={"id": "{{ 0.5 }}"},
        unique=["{{ 'id' }}"],
        required_columns={"id": "{{ 'string' }}"},
        on_reject="continue",
    )
    verdict = outcome.xcoms["validate"]
    assert verdict["reasons"] == ["the table has 2 rows; at least 3 required"]
    assert verdict["data"]["uri"].endswith(path)
    assert verdict["statistics"]["expectations_succeeded"] == 1


def test_a_callable_suite_is_called_when_the_task_runs_and_not_before(validate: Validate, telco: Path) -> None:
    calls: list[int] = []

    def suite() -> list[dict[str, Any]]:
        calls.append(1)
        return [GOOD]

    with DAG(dag_id="parsed_only", schedule=None):
        ValidateDataOperator(task_id="validate", data=str(telco), suite=suite)
    assert calls == []
    assert validate(data=str(telco), suite=suite).state == "success"
    assert calls == [1]


def test_a_query_is_validated_inside_the_database(
    validate: Validate, database: type[SqliteFileHook], tmp_path: Path
) -> None:
    query = SqlQuery("SELECT * FROM churn WHERE tenure >= {{ 0 }}", "sqlite_churn")
    outcome = validate(data=query, suite=[BAD], unique=["tenure", "monthly_charges"], on_reject="continue")
    verdict = outcome.xcoms["validate"]
    assert (verdict["engine"], verdict["rows"]) == ("sql", 7043)
    assert verdict["data"] == {"uri": "sql://sqlite_churn", "fingerprint": None}
    assert verdict["reasons"] == [
        "duplicate key tenure, monthly_charges: 714 rows repeat the key of an earlier row",
        "expect_column_values_to_be_between on 'tenure' fails: 1407 unexpected (20 %)",
    ]
    assert database.fetched == []
    run, _, report = mlflow_run(verdict, tmp_path)
    assert run.inputs.dataset_inputs == []
    assert "the rows stayed in the database" in report


@pytest.mark.parametrize(
    "query",
    [
        SqlQuery("SELECT * FROM churn WHERE tenure > :least", "sqlite_churn", parameters={"least": 60}),
        SqlQuery("SELECT * FROM churn WHERE tenure > 60", "noengine_churn"),
    ],
)
def test_a_query_that_cannot_be_pushed_down_is_validated_on_its_rows(
    validate: Validate, database: type[SqliteFileHook], query: SqlQuery
) -> None:
    verdict = validate(data=query).xcoms["validate"]
    assert (verdict["engine"], verdict["rows"], verdict["passed"]) == ("pandas", 1407, True)
    assert len(database.fetched) == 1407
    assert verdict["data"]["fingerprint"]["rows"] == 1407


@pytest.mark.parametrize("include", [False, True])
def test_values_of_the_data_leave_the_worker_only_when_asked_for(
    validate: Validate,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    include: bool,
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    path = csv(tmp_path, f"s,tenure\n{MARKER},1\n{MARKER},2\nx,3\n")
    suite = [
        GOOD,
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "s", "value_set": ["x"]}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "s", "regex": "^x$"}},
        {"type": "expect_column_distinct_values_to_be_in_set", "kwargs": {"column": "s", "value_set": ["x"]}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "s", "min_value": 0}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "s", "min_value": 0}},
    ]
    outcome = validate(data=path, suite=suite, unique=["s"], include_unexpected_values=include)
    verdict = outcome.xcoms["validate"]
    assert verdict["statistics"]["expectations_in_error"] == 2
    run, whole, report = mlflow_run(verdict, folder)
    printed = capfd.readouterr()
    told = [json.dumps(verdict), json.dumps(whole), report, str(outcome.errors["validate"]), str(run.to_dictionary())]
    quiet = [caplog.text, printed.out, printed.err]
    assert (MARKER in "".join(told)) is include
    if not include:
        assert MARKER not in "".join(quiet)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"max_age": 5}, "positive timedelta; got 5"), ({"on_reject": "shrug"}, "must be one of fail, skip, continue")],
)
def test_a_wrong_setting_that_no_template_can_change_is_refused_at_parse(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ValidateDataOperator(task_id="validate", data="a.csv", suite=[GOOD], **settings)


def test_constructing_the_operator_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from airflow_mlops_provider.operators.validate_data import ValidateDataOperator\n"
        "ValidateDataOperator(task_id='v', data='a.csv', suite=[{'type': 'x', 'kwargs': {}}], unique=['a'])\n"
        "heavy = {'great_expectations', 'mlflow', 'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
