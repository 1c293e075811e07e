"""Queries run through real Airflow connections, whose provider is discovered as any installed one is."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.data import open_data

TELCO = Path(__file__).parents[3] / "dags" / "data" / "telco_churn.csv"

# Apart from the hooks, because Airflow loads it while it is being imported itself.
PROVIDER_INFO = """
def get_provider_info():
    types = {"testsqlite": "SqliteHook", "testremote": "RemoteHook", "testqueue": "QueueHook", "testgone": "GoneHook"}
    return {
        "package-name": "test-databases", "name": "Test databases", "description": "Databases for tests.",
        "connection-types": [
            {"connection-type": key, "hook-class-name": f"test_databases.{name}"} for key, name in types.items()
        ],
    }
"""

HOOKS = """
import socket
import sqlite3
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import BaseHook

class SqliteHook(DbApiHook):
    conn_name_attr = "sqlite_conn_id"
    default_conn_name = "sqlite_default"
    hook_name = "SQLite"
    conn_type = "testsqlite"
    def get_conn(self):
        return sqlite3.connect(self.connection.host)

# As a driver over TCP names them.
Error = type("Error", (Exception,), {})
OperationalError = type("OperationalError", (Error,), {})

class RemoteHook(SqliteHook):
    conn_type = "testremote"
    def get_conn(self):
        connection = self.connection
        try:
            socket.create_connection((connection.host, connection.port), timeout=5)
        except OSError as error:
            raise OperationalError(f"{connection.get_uri()}: {error}") from error

class QueueHook(BaseHook):
    conn_name_attr = "queue_conn_id"
    hook_name = "Queue"
    conn_type = "testqueue"
    def __init__(self, queue_conn_id="queue_default"):
        super().__init__()
"""

SCRIPT = """
import json, sys
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.data import open_data

found = {}
for name, query in json.loads(sys.argv[1]).items():
    try:
        with open_data(SqlQuery(**query)) as source:
            found[name] = [source.uri, source.count_rows(), source.to_pandas().iloc[0].to_dict()]
    except Exception as error:
        found[name] = [type(error).__name__, str(error)]
print("RESULT" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """What each query gives in a process in which a provider of databases is installed."""
    folder = tmp_path_factory.mktemp("provider")
    (folder / "test_databases.py").write_text(HOOKS)
    (folder / "test_databases_info.py").write_text(PROVIDER_INFO)
    metadata = folder / "test_databases-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: test-databases\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info = test_databases_info:get_provider_info\n"
    )
    with sqlite3.connect(folder / "telco.db") as connection:
        pd.read_csv(TELCO).to_sql("telco", connection, index=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    connections = {
        "TELCO": {"conn_type": "testsqlite", "host": str(folder / "telco.db")},
        "REMOTE": {"conn_type": "testremote", "host": "127.0.0.1", "port": port, "login": "ann", "password": "s3cr/t"},
        "QUEUE": {"conn_type": "testqueue"},
        "GONE": {"conn_type": "testgone"},
        "UNKNOWN": {"conn_type": "nosuchtype"},
        "GENERIC": {"conn_type": "generic"},
    }
    queries = {
        "rows": {"sql": "SELECT tenure, churn FROM telco", "conn_id": "telco"},
        "bound": {"sql": "SELECT tenure FROM telco WHERE tenure > ?", "conn_id": "telco", "parameters": [71]},
        "bad table": {"sql": "SELECT * FROM missing", "conn_id": "telco"},
        "undefined": {"sql": "SELECT 1", "conn_id": "nowhere"},
        **{
            name: {"sql": "SELECT 1 AS x", "conn_id": name}
            for name in ("remote", "queue", "gone", "unknown", "generic")
        },
    }
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        **{f"AIRFLOW_CONN_{name}": json.dumps(fields) for name, fields in connections.items()},
        "PYTHONPATH": str(folder),
        "AIRFLOW_HOME": str(folder / "home"),
    }
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(queries)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout.split("RESULT")[1]))


def test_a_query_runs_through_the_hook_of_its_airflow_connection(answers: dict[str, list[object]]) -> None:
    assert answers["rows"] == ["sql://telco", 7043, {"tenure": 1, "churn": "No"}]


def test_parameters_reach_the_driver(answers: dict[str, list[object]]) -> None:
    assert answers["bound"] == ["sql://telco", 362, {"tenure": 72}]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("bad table", "InputError", "no such table: missing"),
        ("undefined", "InputError", "'nowhere' is not defined"),
        ("queue", "InputError", "'testqueue', which is no SQL database"),
        ("gone", "InputError", "Hint: install the Airflow provider"),
        ("unknown", "InputError", "'nosuchtype'"),
        ("generic", "InputError", "'generic'"),
        ("remote", "OutageError", "refused"),
    ],
)
def test_a_query_that_cannot_run_says_why(name: str, error: str, words: str, answers: dict[str, list[object]]) -> None:
    kind, message = answers[name]
    assert kind == error
    assert words in str(message)


def test_an_outage_does_not_tell_the_password(answers: dict[str, list[object]]) -> None:
    assert "s3cr" not in str(answers["remote"])


def test_paths_assets_and_lists_are_files() -> None:
    from airflow.sdk import Asset

    for data in (str(TELCO), TELCO, Asset(name="telco", uri=f"file://{TELCO}"), Asset(str(TELCO)), [TELCO]):
        with open_data(data) as source:
            assert source.count_rows() == 7043


def test_an_asset_of_another_kind_is_bad_input() -> None:
    from airflow.sdk import Asset

    with pytest.raises(InputError, match=r"gs://bucket/churn\.parquet: of URIs, only file:// and s3://"):
        open_data(Asset("gs://bucket/churn.parquet"))
