"""The whole loop, day by day, in a world where who has fibre suddenly leaves where they stayed."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.ledger import read_history
from tests.changed_customers import write_changed

DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "churn_monitoring.py"
QUIET, NOTICED, KNOWN = "2026-03-02", "2026-03-03", "2026-03-04"


def load(name: str = "churn_monitoring") -> Any:
    spec = importlib.util.spec_from_file_location(name, DAG_FILE.with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def champion(run_dag: Callable[..., Any], telco: Path) -> str:
    name = load().MODEL_NAME
    with DAG("train_for_monitoring", schedule=None) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=name,
            data=str(telco),
            target="churn",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    with MlflowHook().open() as registry:
        registry.client.set_registered_model_alias(name, "champion", outcome.xcoms["train"]["version"])
    return name


@pytest.fixture(scope="module")
def training_dag(airflow_home: Path) -> str:
    """Make the DAG that is started known to Airflow and unpaused; its run is queued, and nothing here runs it."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from tests.airflow_versions import DagBag, sync_bag_to_db

    dag = load("churn_training").dag
    bag = DagBag(dag_folder=str(DAG_FILE.parent / "data"))
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.get(DagModel, dag.dag_id).is_paused = False
    return str(dag.dag_id)


@pytest.fixture(scope="module")
def days(
    run_dag: Callable[..., Any],
    champion: str,
    training_dag: str,
    telco: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """A day as ever, the day on which the world changed, the day on which that is known; and that one once more."""
    folder = tmp_path_factory.mktemp("windows")
    changed = {"source": str(write_changed(telco, folder / "changed.csv")), "fibre_weight": 3}
    conf = {"folder": str(folder), "customers": 2000}
    runs = {QUIET: {}, NOTICED: changed, KNOWN: changed, "again": {**changed, "day": KNOWN}}
    return {key: run_dag(load().dag, conf={"day": key, **conf, **more}) for key, more in runs.items()}


def test_a_day_as_ever_raises_no_alarm(days: dict[str, Any]) -> None:
    outcome = days[QUIET]
    assert set(outcome.states.values()) == {"success"}
    found = outcome.xcoms
    assert (found["validate"]["passed"], found["score"]["passed"]) == (True, True)
    assert found["score"]["rows"] == 2000
    assert found["detect_drift"]["verdict"] == "no_drift"
    assert found["detect_drift"]["window_end"] == f"{QUIET}T00:00:00+00:00"
    assert found["performance"]["verdict"] == "insufficient_data"
    assert found["estimate"]["verdict"] == "no_drop"
    assert (found["retrain"]["retrain"], found["retrain"]["reasons"]) == (False, [])


def test_drift_alone_trains_nothing_and_the_customers_of_the_day_before_are_known(days: dict[str, Any]) -> None:
    found = days[NOTICED].xcoms
    assert found["detect_drift"]["verdict"] == "drift"
    assert (found["performance"]["verdict"], found["performance"]["labelled_rows"]) == ("no_drop", 2000)
    assert found["retrain"]["retrain"] is False


def test_a_drop_that_labels_show_starts_one_training_on_the_customers_known_by_then(
    days: dict[str, Any], champion: str, training_dag: str
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found = days[KNOWN].xcoms
    assert found["performance"]["verdict"] == "drop"
    assert found["retrain"]["retrain"] is True
    # The evidence is of the day whose customers are known, not of the day on which they are.
    assert found["retrain"]["window_end"] == f"{NOTICED}T00:00:00+00:00"
    with create_session() as session:
        # The DAG's own test leaves runs of it too, in any order.
        asked_for = select(DagRun).where(DagRun.dag_id == training_dag, DagRun.run_id.startswith("retrain__"))
        (run,) = session.scalars(asked_for).all()
        conf = dict(run.conf)
    assert run.run_id == found["retrain"]["trigger_run_id"]
    labelled = Path(conf["data"])
    assert sorted(path.stem for path in labelled.iterdir()) == [QUIET, NOTICED]
    assert conf["min_roc_auc"] == 0.75
    with MlflowHook().open() as registry:
        asked = [one for one in read_history(registry, champion).entries if one.kind == "retrain_requested"]
    assert len(asked) == 1


def test_a_day_gives_the_same_whenever_it_is_run(days: dict[str, Any]) -> None:
    first, again = (days[key].xcoms for key in (KNOWN, "again"))
    for task, what in (("detect_drift", "drifted"), ("performance", "value"), ("estimate", "value")):
        assert first[task][what] == again[task][what]
    assert again["retrain"]["retrain"] is False


def test_without_a_day_the_window_ends_with_the_data_interval_and_never_now(
    run_dag: Callable[..., Any], champion: str, training_dag: str, tmp_path: Path
) -> None:
    source = DAG_FILE.read_text()
    assert "now(" not in source
    assert "today(" not in source
    outcome = run_dag(load().dag, conf={"folder": str(tmp_path)})
    ends = dt.datetime.fromisoformat(outcome.xcoms["detect_drift"]["window_end"])
    assert outcome.xcoms["deliver"]["until"] == f"{ends:%Y-%m-%d}T00:00:00+00:00"
