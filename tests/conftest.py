"""A real Airflow in a directory of its own, shared by all tests, and ways to run real DAGs in it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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

if TYPE_CHECKING:
    from airflow.sdk import DAG


@dataclass(frozen=True, kw_only=True)
class DagOutcome:
    """What is left of a DAG run: task states, XComs and the exceptions tasks ended with."""

    state: str
    states: dict[str, str]
    xcoms: dict[str, Any]
    errors: dict[str, BaseException]
    run_id: str


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


@pytest.fixture(scope="session")
def run_dag(airflow_home: Path) -> Callable[..., DagOutcome]:
    """Run a DAG's tasks for real, in this process, through the task runner."""

    def run(dag: DAG, *, conf: dict[str, Any] | None = None) -> DagOutcome:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        empty = HOME / "empty"
        empty.mkdir(exist_ok=True)
        errors: dict[str, BaseException] = {}
        for task in dag.tasks:
            # The last exception of each task that failed for good; the database keeps none.
            task.on_failure_callback = [
                lambda context: errors.__setitem__(context["task"].task_id, context["exception"])
            ]
        bag = DagBag(dag_folder=str(empty))
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        dag_run = dag.test(run_conf=conf)
        with create_session() as session:
            rows = session.scalars(
                select(XComModel).where(XComModel.run_id == dag_run.run_id, XComModel.key == "return_value")
            ).all()
            xcoms = {row.task_id: XComModel.deserialize_value(row) for row in rows}
        states = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
        return DagOutcome(state=str(dag_run.state), states=states, xcoms=xcoms, errors=errors, run_id=dag_run.run_id)

    return run
