"""Retraining tasks that die at a named point, and what the next try, or the next monitor, makes of it.

A script, because it forks: each child runs a DAG with the real operator in a real Airflow of its own. Prints one JSON
object per line: the case, what the ledger holds, which training runs there are and what the surviving task said.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults import crash  # sets AIRFLOW_HOME, so it comes before Airflow

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.execution_time.comms import TriggerDagRun
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.trigger_retrain import TriggerRetrainOperator
from airflow_mlops_provider.registry.ledger import read_history
from tests.watched_model import WatchedModel

POINTS = ("before the entry", "entered", "before the run", "training started", "before XCom")
TRAINING = "crash_training"
NOW = "2026-03-02T00:00:00+00:00"


class Nothing(BaseOperator):
    def execute(self, context: Any) -> None:
        pass


def set_trap(point: str) -> None:
    if point in crash.POINTS:
        crash.set_trap(point, crash.die)
        return
    if point == "before XCom":
        execute = TriggerRetrainOperator.execute

        def trapped_execute(self: TriggerRetrainOperator, context: Any) -> Any:
            execute(self, context)
            crash.die()

        TriggerRetrainOperator.execute = trapped_execute  # type: ignore[method-assign]
        return
    send = InProcessSupervisorComms.send

    def trapped_send(self: InProcessSupervisorComms, msg: Any) -> Any:
        if isinstance(msg, TriggerDagRun):
            if point == "training started":
                send(self, msg)
            crash.die()
        return send(self, msg)

    InProcessSupervisorComms.send = trapped_send  # type: ignore[method-assign]


def publish(dag: DAG) -> None:
    from tests.airflow_versions import DagBag, sync_bag_to_db

    empty = Path(crash.HOME) / "empty"
    empty.mkdir(exist_ok=True)
    bag = DagBag(dag_folder=str(empty))
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)


def start_airflow() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dag import DagModel
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    with DAG(TRAINING, schedule=None) as dag:
        Nothing(task_id="nothing")
    publish(dag)
    with create_session() as session:
        session.get(DagModel, TRAINING).is_paused = False


def watch(model_name: str) -> None:
    with MlflowHook().open() as registry:
        model = WatchedModel(registry, model_name)
        model.check("performance", "2026-03-01", "drop", of=model.promote(), rows=500)


def ask(model_name: str, date: datetime, point: str | None) -> None:
    """Run the monitor of a date; the same date is a retry, because the run and the task have the same names."""
    with DAG(f"monitor_{model_name}", schedule=None) as dag:
        TriggerRetrainOperator(task_id="retrain", model_name=model_name, trigger_dag_id=TRAINING, now=NOW)
    publish(dag)
    if point is not None:
        set_trap(point)
    if str(dag.test(logical_date=date, run_after=date).state) != "success":
        raise RuntimeError("the task failed")


def state(model_name: str) -> dict[str, Any]:
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with MlflowHook().open() as registry:
        history = read_history(registry, model_name)
    with create_session() as session:
        runs = [one.run_id for one in session.scalars(select(DagRun).where(DagRun.dag_id == TRAINING))]
        said = session.scalars(
            select(XComModel)
            .where(XComModel.dag_id == f"monitor_{model_name}", XComModel.key == "return_value")
            .order_by(XComModel.timestamp.desc())
        ).first()
        result = XComModel.deserialize_value(said)
    mine = [one for one in runs if f"__{model_name}__" in one]
    asked = [one.details["run_id"] for one in history.entries if one.kind == "retrain_requested"]
    return {
        "entries": [one.kind for one in history.entries],
        "runs": len(mine),
        "is_the_one_asked_for": mine == asked,
        "retrain": result["retrain"],
        "suppressed_by": result["suppressed_by"],
    }


def fork(work: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    os.dup2(2, 1)  # what tasks log is not the result
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(work: Callable[[], Any]) -> None:
    status = fork(work)
    if status:
        raise RuntimeError(f"what should succeed ended with {status}")


def look(work: Callable[[], Any]) -> Any:
    path = Path(crash.HOME) / "look.json"
    finish(lambda: path.write_text(json.dumps(work())))
    return json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", nargs="+", default=POINTS)
    parser.add_argument("--after", nargs="+", default=["retry", "next monitor"])
    args = parser.parse_args()
    import airflow_mlops_provider.registry.retraining  # noqa: F401 - before the first fork, so that children start at once

    finish(start_airflow)
    date = datetime(2026, 3, 2, tzinfo=UTC)
    for number, (after, point) in enumerate((one, point) for one in args.after for point in args.points):
        name = f"crashed{number}"
        finish(lambda name=name: watch(name))
        status = fork(lambda name=name, point=point: ask(name, date, point))
        later = date if after == "retry" else date + timedelta(days=1)
        finish(lambda name=name, later=later: ask(name, later, None))
        found = look(lambda name=name: state(name))
        print(json.dumps({"after": after, "point": point, "struck": os.WIFSIGNALED(status), **found}), flush=True)


if __name__ == "__main__":
    main()
