"""A real Airflow in a directory of its own, shared by all tests, and ways to run real DAGs in it."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = Path(tempfile.mkdtemp(prefix="airflow-mlops-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads these while it is imported, so they are set before any test module is.
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(HOME / "logs"),
    MPLCONFIGDIR=str(HOME / "matplotlib"),
    # Boosted trees on threads that wait for each other cost many times the work when the machine is busy.
    OMP_NUM_THREADS="1",
)
for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[name]

# No test judges time: the machine may be busy. Where a change is decided on, the same examples come each time.
settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("here")

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_mlops_provider.data.access import DataAccess


@dataclass(frozen=True, kw_only=True)
class DagOutcome:
    """What is left of a DAG run: task states, XComs and the exceptions tasks ended with."""

    state: str
    states: dict[str, str]
    xcoms: dict[str, Any]
    errors: dict[str, BaseException]
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An empty bucket of a real S3 server, and a client that boto3's default chain would make."""

    name: str
    client: Any

    @property
    def access(self) -> DataAccess:
        """Reaches the bucket without making a client, which takes longer than most tests."""
        from airflow_mlops_provider.data.access import DataAccess

        return DataAccess(s3_client=lambda _: self.client)

    def uri(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"

    def put(self, key: str, body: bytes) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)
        return self.uri(key)

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def uploads(self) -> list[str]:
        """Keys of uploads that are neither complete nor aborted."""
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an S3 server in a process of its own."""
    from tests.servers import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def s3(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of its own, which boto3 reaches without a connection."""
    import boto3

    from airflow_mlops_provider.data.s3_client import client_config

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_environment(s3_url, home=tmp_path).items():
        monkeypatch.setenv(name, value)
    # boto3 and MLflow keep what they made from another test's environment.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    mlflow_s3 = sys.modules.get("mlflow.store.artifact.s3_artifact_repo")
    if mlflow_s3 is not None:
        mlflow_s3._cached_get_s3_client.cache_clear()
    bucket = Bucket(
        name=f"bucket-{uuid.uuid4().hex[:12]}", client=boto3.session.Session().client("s3", config=client_config())
    )
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket


def s3_environment(url: str, *, home: Path) -> dict[str, str]:
    """What a process needs to reach an S3 server, and nothing of the machine's own."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
    }


@pytest.fixture(scope="session")
def telco() -> Path:
    return REPOSITORY / "dags" / "data" / "telco_churn.csv"


@pytest.fixture
def model_name() -> str:
    """A name no other test uses: the MLflow store is shared."""
    return f"model_{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """A migrated Airflow database in AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    initdb()
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    return HOME


def _recording(finalize: Callable[..., None], errors: dict[str, BaseException]) -> Callable[..., None]:
    """Keep the last exception of each task that fails for good: the database keeps none, and before 3.3 a callback
    of a task that dag.test() runs is not given it."""

    def finalize_and_record(ti: Any, state: Any, context: Any, log: Any, error: BaseException | None = None) -> None:
        if error is not None and getattr(state, "value", state) == "failed":
            errors[ti.task_id] = error
        finalize(ti, state, context, log, error)

    return finalize_and_record


@pytest.fixture(scope="session")
def run_dag(airflow_home: Path) -> Callable[..., DagOutcome]:
    """Run a DAG's tasks for real, in this process, through the task runner."""

    def run(dag: DAG, *, conf: dict[str, Any] | None = None) -> DagOutcome:
        from airflow.models.xcom import XComModel
        from airflow.sdk.execution_time import task_runner
        from airflow.utils.session import create_session
        from sqlalchemy import select

        from tests.airflow_versions import DagBag, sync_bag_to_db

        empty = HOME / "empty"
        empty.mkdir(exist_ok=True)
        errors: dict[str, BaseException] = {}
        bag = DagBag(dag_folder=str(empty))
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(task_runner, "finalize", _recording(task_runner.finalize, errors))
            dag_run = dag.test(run_conf=conf)
        with create_session() as session:
            rows = session.scalars(
                select(XComModel).where(XComModel.run_id == dag_run.run_id, XComModel.key == "return_value")
            ).all()
            xcoms = {row.task_id: XComModel.deserialize_value(row) for row in rows}
        states = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
        return DagOutcome(state=str(dag_run.state), states=states, xcoms=xcoms, errors=errors, run_id=dag_run.run_id)

    return run
