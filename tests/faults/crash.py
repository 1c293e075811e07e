"""Tasks that die or freeze at a named point of their work, and are tried again, or that run twice at once.

A script, because it forks: ``python crash.py http://mlflow… --data customers.csv``. Each child runs the real
``execute`` of an operator. Prints one JSON object per line: the case, and what MLflow holds after the last try.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HOME = tempfile.mkdtemp(prefix="mlops-crash-")
os.environ.update(AIRFLOW_HOME=HOME, AIRFLOW__CORE__LOAD_EXAMPLES="False", MPLCONFIGDIR=HOME)

from mlflow import MlflowClient  # noqa: E402 - Airflow reads its home when it is imported

from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator  # noqa: E402
from airflow_mlops_provider.operators.promote_model import PromoteModelOperator  # noqa: E402
from airflow_mlops_provider.operators.rollback_model import RollbackModelOperator  # noqa: E402
from airflow_mlops_provider.operators.train_model import TrainModelOperator  # noqa: E402
from airflow_mlops_provider.registry.ledger import read_history  # noqa: E402
from airflow_mlops_provider.registry.session import TrackingServer, open_registry  # noqa: E402

Strike = Callable[[], None]
Point = tuple[str, Callable[..., bool], bool]  # a client's method, for which arguments, and whether after the call

POINTS: dict[str, Point] = {
    "run started": ("create_run", lambda *_: True, True),
    "before the model is logged": ("create_logged_model", lambda *_: True, False),
    "model logged": ("finalize_logged_model", lambda *args: "READY" in args, True),
    "before registration": ("create_model_version", lambda *_: True, False),
    "registered": ("create_model_version", lambda *_: True, True),
    "before challenger": ("set_registered_model_alias", lambda *args: "challenger" in args, False),
    "blessed": ("set_model_version_tag", lambda *args: "mlops.blessing" in args, True),
    "before the entry": ("log_param", lambda *args: str(args[1]).startswith("e0"), False),
    "entered": ("log_param", lambda *args: str(args[1]).startswith("e0"), True),
    "before alias": ("set_registered_model_alias", lambda *args: "champion" in args, False),
    "after alias": ("set_registered_model_alias", lambda *args: "champion" in args, True),
}
HALF_SENT = "model half sent"
CASES = {
    "train": (
        *("run started", "before the model is logged", HALF_SENT, "model logged", "before registration"),
        *("registered", "before challenger", "before XCom"),
    ),
    "evaluate": ("run started", "blessed", "before XCom"),
    "promote": ("before the entry", "entered", "before alias", "after alias", "before XCom"),
    "rollback": ("before the entry", "entered", "before alias", "after alias", "before XCom"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def set_trap(point: str, strike: Strike) -> None:
    """Let the next call that reaches `point` strike."""
    name, applies, after = POINTS[point]
    call = getattr(MlflowClient, name)

    def trapped(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        if not applies(*args, *kwargs.values()):
            return call(self, *args, **kwargs)
        setattr(MlflowClient, name, call)
        if not after:
            strike()
        result = call(self, *args, **kwargs)
        if after:
            strike()
        return result

    setattr(MlflowClient, name, trapped)


def set_trap_in_the_upload(strike: Strike) -> None:
    """Strike when the server has half of the model's file."""
    from mlflow.store.artifact import http_artifact_repo as repository

    send = repository.http_request

    def trapped(creds: Any, endpoint: str, method: str, **given: Any) -> Any:
        if method != "PUT" or not endpoint.endswith(".skops"):
            return send(creds, endpoint, method, **given)
        repository.http_request = send
        content = given.pop("data").read()

        def halves() -> Iterator[bytes]:
            yield content[: len(content) // 2]
            strike()
            yield content[len(content) // 2 :]

        return send(creds, endpoint, method, data=halves(), **given)

    repository.http_request = trapped


class Events:
    def add(self, *_: object, **__: object) -> None:
        pass


def operator(task: str, model_name: str, data: str, seed: int) -> Any:
    common = {"task_id": task, "model_name": model_name, "experiment_name": f"crash {model_name}"}
    if task == "train":
        return TrainModelOperator(
            **common, data=data, target="churn", estimator="sklearn.linear_model.LogisticRegression", folds=0, seed=seed
        )
    if task == "evaluate":
        return EvaluateModelOperator(**common, data=data, gates=["min_rows"])
    if task == "promote":
        return PromoteModelOperator(**common)
    return RollbackModelOperator(**common, reason="crash test", from_version="2")


def run_task(task: str, model_name: str, data: str, *, run_id: str, point: str | None, strike: Strike = die) -> int:
    """Run one try of a task in a child, and return the child's id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    os.dup2(2, 1)  # what tasks log is not the result
    try:
        if point == HALF_SENT:
            set_trap_in_the_upload(strike)
        elif point is not None and point in POINTS:
            set_trap(point, strike)
        ti = SimpleNamespace(
            dag_id="crash", task_id=task, run_id=run_id, map_index=-1, try_number=1, xcom_push=lambda **_: None
        )
        context = {
            "ti": ti,
            "dag": SimpleNamespace(dag_id="crash", fileloc=None),
            "outlet_events": defaultdict(Events),
        }
        seed = int(run_id.rpartition("-")[2])
        result = operator(task, model_name, data, seed).execute(context)
        told_by(os.getpid()).write_text(json.dumps({key: result.get(key) for key in ("version", "run_id")}))
        if point == "before XCom":
            strike()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def told_by(pid: int) -> Path:
    """Return where a child writes what its XCom says."""
    return Path(HOME) / f"{pid}.json"


def finish(pid: int) -> None:
    status = os.waitpid(pid, 0)[1]
    if status:
        raise RuntimeError(f"a try that should succeed ended with {status}")


def in_child(server: TrackingServer, look: Callable[[Any], Any]) -> Any:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with open_registry(server) as registry:
                os.write(writer, json.dumps(look(registry)).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    finish(pid)
    return json.loads(text)


def state(server: TrackingServer, model_name: str) -> dict[str, Any]:
    """Return what MLflow holds of a model."""

    def look(registry: Any) -> dict[str, Any]:
        client = registry.client
        aliases = client.get_registered_model(model_name).aliases
        experiment = client.get_experiment_by_name(f"crash {model_name}").experiment_id
        runs = client.search_runs([experiment])
        found = [one for one in client.search_model_versions(max_results=1000) if one.name == model_name]
        return {
            "versions": sorted(int(one.version) for one in found if "mlops.duplicate_of" not in one.tags),
            "duplicates": sorted(int(one.version) for one in found if "mlops.duplicate_of" in one.tags),
            "entries": [
                [one.kind, one.subject and one.subject.version] for one in read_history(registry, model_name).entries
            ],
            "champion": aliases.get("champion"),
            "challenger": aliases.get("challenger"),
            "running": sum(one.info.status == "RUNNING" for one in runs),
            "claims": sum(
                key.startswith("mlops.ledger.claim.") for key in client.get_registered_model(model_name).tags
            ),
        }

    return dict(in_child(server, look))


def prepare(task: str, model_name: str, data: str) -> str:
    """Bring a model to where `task` comes next, and return the run it belongs to."""

    def chain(run: int, *tasks: str) -> None:
        for one in tasks:
            finish(run_task(one, model_name, data, run_id=f"run-{run}", point=None))

    if task in ("evaluate", "promote"):
        chain(1, "train", *(["evaluate"] if task == "promote" else []))
        return "run-1"
    if task == "rollback":
        chain(1, "train", "evaluate", "promote")
        chain(2, "train", "evaluate", "promote")
        return "run-3"
    return "run-1"


def run_twice(server: TrackingServer, tasks: list[str], data: str, *, other_run: bool) -> None:
    """Let two processes do the same task at once."""
    for task in tasks:
        model_name = f"{Path(HOME).name} {task} twice {other_run}"
        run_id = prepare(task, model_name, data)
        second = "run-9" if other_run else run_id
        pids = [run_task(task, model_name, data, run_id=one, point=None) for one in (run_id, second)]
        for pid in pids:
            finish(pid)
        told = [json.loads(told_by(pid).read_text()) for pid in pids]
        print(json.dumps({"task": task, "told": told, **state(server, model_name)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("--data", required=True)
    parser.add_argument("--tasks", nargs="+", default=list(CASES))
    parser.add_argument("--points", nargs="+", default=[*POINTS, HALF_SENT, "before XCom"])
    parser.add_argument("--freeze", action="store_true", help="stop at the point, let the retry finish, go on")
    parser.add_argument("--twice", choices=["run", "dag"], help="two tries at once, of one DAG run or of two")
    args = parser.parse_args()
    host = args.uri.removeprefix("http://")
    os.environ["AIRFLOW_CONN_MLFLOW_DEFAULT"] = f"mlflow://{host}/http"
    server = TrackingServer(uri=args.uri)
    # Loaded before the first fork, so that children start at once.
    import airflow_mlops_provider.registry.rollback
    import airflow_mlops_provider.training.train  # noqa: F401

    if args.twice:
        run_twice(server, args.tasks, args.data, other_run=args.twice == "dag")
        return
    for task in args.tasks:
        for point in [one for one in CASES[task] if one in args.points]:
            model_name = f"{Path(HOME).name} {task} {point}{' frozen' if args.freeze else ''}"
            run_id = prepare(task, model_name, args.data)
            pid = run_task(
                task, model_name, args.data, run_id=run_id, point=point, strike=freeze if args.freeze else die
            )
            _, status = os.waitpid(pid, os.WUNTRACED)
            struck = os.WIFSTOPPED(status) if args.freeze else os.WIFSIGNALED(status)
            finish(run_task(task, model_name, args.data, run_id=run_id, point=None))
            after = state(server, model_name)
            result = {"task": task, "point": point, "struck": struck, **after}
            if args.freeze:
                os.kill(pid, signal.SIGCONT)
                os.waitpid(pid, 0)
                awake = state(server, model_name)
                result["changed"] = {key: [value, awake[key]] for key, value in after.items() if awake[key] != value}
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
