"""Starting a DAG run from inside a task, and asking what became of it: the one place that speaks with Airflow for it.

Tasks have no database. Airflow's own operator starts a run by an exception after ``execute``, which fails the task when
the run exists already, though that is what a retry finds. So the request goes the way that exception takes, and the
answer is seen here. Each run has an id that its asker knows beforehand and no logical date, whose uniqueness would make
two runs of a moment collide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.hooks.airflow_versions import dag_of

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

MISSING = "missing"
ENDED = frozenset({"success", "failed"})


def is_paused(ti: RuntimeTaskInstanceProtocol, dag_id: str) -> bool:
    """Return whether a DAG is paused; False on Airflow 3.1, which does not tell.

    Raises
    ------
    InputError
        There is no such DAG.
    """
    with _api_errors(f"DAG {dag_id!r} cannot be looked at", "Hint: is trigger_dag_id right, and does its file parse?"):
        known = dag_of(ti, dag_id)
        return known is not None and bool(known.is_paused)


def run_state(ti: RuntimeTaskInstanceProtocol, dag_id: str, run_id: str) -> str:
    """Return the state of a DAG run, or ``missing``."""
    with _api_errors(f"The state of run {run_id!r} of DAG {dag_id!r} cannot be read", ""):
        if not ti.get_dr_count(dag_id=dag_id, run_ids=[run_id]):
            return MISSING
        return str(getattr(state := ti.get_dagrun_state(dag_id=dag_id, run_id=run_id), "value", state))


def start_run(ti: RuntimeTaskInstanceProtocol, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
    """Start a DAG run unless there is one of that id.

    Parameters
    ----------
    ti : task instance
        The asking task.
    dag_id, run_id : str
        Which run of which DAG.
    conf : mapping
        Plain JSON values for the run.

    Returns
    -------
    bool
        False when there was one already.

    Raises
    ------
    InputError
        The DAG does not exist, does not parse or refuses such runs.
    OutageError
        Airflow failed; the same call again does no harm.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

    if run_state(ti, dag_id, run_id) != MISSING:
        return False
    message = TriggerDagRun(dag_id=dag_id, run_id=run_id, logical_date=None, conf=dict(conf), reset_dag_run=False)
    hint = "The request stays in the ledger; the next try starts its run."
    with _api_errors(f"DAG {dag_id!r} cannot be started", hint):
        answer = task_runner.SUPERVISOR_COMMS.send(message)
    if not isinstance(answer, ErrorResponse):
        return True
    # Most likely somebody else started it since; Airflow says the same of other collisions.
    if run_state(ti, dag_id, run_id) != MISSING:
        return False
    raise OutageError(f"Airflow did not start run {run_id!r} of DAG {dag_id!r}: {answer.error.value}. {hint}")


@contextmanager
def _api_errors(what: str, hint: str) -> Iterator[None]:
    from airflow.sdk.api.client import ServerResponseError
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        yield
    except AirflowRuntimeError as error:
        detail = error.error.detail or {}
        raise _translated(
            what, hint, int(detail.get("status_code") or 500), str(detail.get("detail") or error)
        ) from error
    except ServerResponseError as error:  # where the supervisor is in this process, as in dag.test()
        raise _translated(what, hint, error.response.status_code, str(error.detail or error)) from error


def _translated(what: str, hint: str, status: int, text: str) -> InputError | OutageError:
    if status < 500 and status not in {408, 429}:
        return InputError(f"{what}: Airflow answers {status}: {text}. {hint}".strip())
    return OutageError(f"{what}: Airflow answers {status}: {text}. A retry may succeed. {hint}".strip())
