"""What identifies the effect of a running task, and who it is: the same for every try of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.op_key import op_key

if TYPE_CHECKING:
    from airflow.sdk import Context


def op_of(context: Context, model_name: str) -> str:
    """Return the key of the task's effect on a model; see :func:`airflow_mlops_provider.core.op_key.op_key`.

    The namespace is the Airflow option ``namespace`` of section ``mlops``: give each deployment its own when several
    share an MLflow server and have DAGs of the same name.
    """
    from airflow.configuration import conf

    ti = context["ti"]
    return op_key(
        namespace=conf.get("mlops", "namespace", fallback=""),
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        model=model_name,
    )


def actor_of(context: Context) -> dict[str, str]:
    """Return DAG, run and task, for records."""
    ti = context["ti"]
    actor = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
    if ti.map_index is not None and ti.map_index >= 0:
        actor["map_index"] = str(ti.map_index)
    return actor


def now_text() -> str:
    """Return the time, ISO 8601 in UTC, for records."""
    return datetime.now(UTC).isoformat(timespec="seconds")
