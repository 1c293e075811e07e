"""The name of one logical effect of one task, the same for each try; knows no clocks, hosts or tries.

Airflow may run a task again after it was killed, beside its frozen self, or on another worker. Each of them derives the
same key, so whoever comes second finds what the first has done.
"""

from __future__ import annotations

import hashlib
import json

from airflow_mlops_provider.core.errors import InputError

SCHEMA = 1


def op_key(*, namespace: str, dag_id: str, run_id: str, task_id: str, map_index: int, model: str) -> str:
    """Return the key of the effect that a task of a DAG run has on a model.

    The SHA-256 of the compact ASCII JSON array ``[1, namespace, dag_id, run_id, task_id, map_index, model]``, in which
    the leading 1 is the version of this rule. JSON keeps the parts apart, so no two different tasks share a key by how
    their names happen to join; hexadecimal digits need no quoting in an MLflow search.

    Parameters
    ----------
    namespace : str
        The Airflow deployment, when several share an MLflow server.
    dag_id, run_id, task_id : str
        Which task of which DAG run.
    map_index : int
        Its index when it is mapped, else -1.
    model : str
        Registered model.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        A part is of another type, or empty where Airflow has none that is empty.

    Examples
    --------
    >>> op_key(namespace="", dag_id="churn", run_id="r1", task_id="train", map_index=-1, model="churn")[:16]
    '982024f1f2edb074'
    """
    texts = {"namespace": namespace, "dag_id": dag_id, "run_id": run_id, "task_id": task_id, "model": model}
    for name, value in texts.items():
        if not isinstance(value, str) or (not value and name != "namespace"):
            raise InputError(f"{name} of an operation key must be a text that is not empty; got {value!r}.")
    if isinstance(map_index, bool) or not isinstance(map_index, int) or map_index < -1:
        raise InputError(f"map_index of an operation key must be -1 or an index from 0; got {map_index!r}.")
    return derived_key(SCHEMA, namespace, dag_id, run_id, task_id, map_index, model)


def derived_key(*parts: str | int) -> str:
    """Return the SHA-256, in hexadecimal digits, of the compact ASCII JSON array of `parts`."""
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
