"""The history operator: which version was champion from when to when, moved by whom and why, as a table in XCom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.effects import actor_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class ModelHistoryOperator(MLOpsOperator):
    """Read a model's ledger, after what was left undone or done by hand in MLflow is entered in it.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    last : int, default 100
        At most so many rows of each table, the latest; XCom is no place for thousands.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``model_name, champion, reigns, entries, total_entries``. A reign has ``version, since, until, kind, reason,
    by`` (``until`` is None for the present champion); an entry has ``number, kind, version, previous_champion, at,
    reason, by`` and covers rejections and retraining decisions too.

    Examples
    --------
    >>> ModelHistoryOperator(task_id="history", model_name="churn", last=20)
    <Task(ModelHistoryOperator): history>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "model_name")

    def __init__(self, *, model_name: str, last: int = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        if isinstance(last, bool) or not isinstance(last, int) or last < 1:
            raise InputError(f"last of ModelHistoryOperator must be a whole number from 1; got {last!r}.")
        self.last = last

    def perform(self, context: Context) -> dict[str, Any]:
        """Read and log the tables."""
        check_model_name(self.model_name)
        history = MlflowHook(self.mlflow_conn_id).get_model_history(self.model_name, by=actor_of(context))
        for one in history["reigns"][-self.last :]:
            self.log.info(
                "version %s  %s to %s  %s by %s: %s",
                one["version"],
                one["since"],
                one["until"] or "now",
                one["kind"],
                one["by"].get("dag_id", "hand"),
                one["reason"],
            )
        return {
            "model_name": self.model_name,
            "champion": history["champion"],
            "reigns": history["reigns"][-self.last :],
            "entries": history["entries"][-self.last :],
            "total_entries": len(history["entries"]),
        }
