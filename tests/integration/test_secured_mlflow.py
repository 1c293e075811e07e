"""An ``mlflow server`` with its own basic-auth app: the connection opens it, and what it refuses is not asked again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from airflow.sdk import DAG

from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from scripts import servers
from scripts.services import HOST, free_port
from tests.servers import running

ADMIN, WRITER, READER = (("admin", "adm1n of/the store"), ("writer", "wr1ter@home:42"), ("reader", "r3ader's password"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield its address; `WRITER` may do everything to what it makes, `READER` may look."""
    home = tmp_path_factory.mktemp("secured")
    settings = home / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{home}/auth.db\nadmin_username = admin\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {
        **os.environ,
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of these tests",
    }
    port = free_port()
    with running(servers.mlflow_server(home, port=port, env=env, options=("--app-name", "basic-auth"))):
        for name, password in (WRITER, READER):
            requests.post(
                f"http://{HOST}:{port}/api/2.0/mlflow/users/create",
                json={"username": name, "password": password},
                auth=ADMIN,
                timeout=30,
            ).raise_for_status()
        yield f"{HOST}:{port}"


@pytest.fixture
def train(
    secured: str, run_dag: Callable[..., Any], telco: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Train with a login, in a task that would be tried three times."""

    def run(model_name: str, login: str, query: str = "") -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", f"mlflow://{login}{secured}{query}")
        with DAG("secured", schedule=None) as dag:
            TrainModelOperator(
                task_id="train",
                model_name=model_name,
                data=str(telco),
                target="churn",
                estimator="sklearn.naive_bayes.GaussianNB",
                folds=0,
                retries=2,
                retry_delay=timedelta(0),
            )
        return run_dag(dag)

    return run


def login(name: str, password: str) -> str:
    return f"{name}:{quote(password, safe='')}@"


@pytest.mark.parametrize(
    ("who", "query", "said"),
    [
        pytest.param(login("writer", "guessed"), "", "401", id="wrong password"),
        pytest.param("", "?token=expired.token", "401", id="expired token"),
        pytest.param("", "", "401", id="no login"),
    ],
)
def test_who_is_not_let_in_is_told_so_once(
    train: Callable[..., Any], model_name: str, who: str, query: str, said: str
) -> None:
    outcome = train(model_name, who, query)
    assert outcome.state == "failed"
    error = outcome.errors["train"]
    assert isinstance(error, InvalidInputError)
    assert "refused" in str(error)
    assert "guessed" not in str(error)
    assert "expired.token" not in str(error)


def test_the_login_of_the_connection_opens_it_and_who_may_only_read_is_told_so_once(
    train: Callable[..., Any], model_name: str
) -> None:
    written = train(model_name, login(*WRITER))
    assert written.errors == {}
    assert written.xcoms["train"]["version"] == "1"
    outcome = train(model_name, login(*READER))
    assert outcome.state == "failed"
    error = outcome.errors["train"]
    assert isinstance(error, InvalidInputError)
    assert "Permission denied" in str(error)
