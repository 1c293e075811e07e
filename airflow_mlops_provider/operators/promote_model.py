"""The promotion operator: a blessed version becomes champion, once, and the record says by whom and instead of whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.effects import actor_of, now_text, op_of
from airflow_mlops_provider.operators.model_events import emit, model_outlet
from airflow_mlops_provider.operators.tracking import primary_metric

if TYPE_CHECKING:
    from airflow.sdk import Context


class PromoteModelOperator(MLOpsOperator):
    """Move the alias ``champion`` to a version whose blessing was made against the present champion.

    The move is entered in the model's ledger, once however often the task is tried, and the alias follows. The files of
    the version must be those that were evaluated. A champion that somebody set by hand is entered too, and counts.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    version : str or int, optional
        Version to promote; default the one with alias ``challenger``. Templated, so that it can come from the training
        task: ``version="{{ ti.xcom_pull('train')['version'] }}"`` or, when that task has
        ``multiple_outputs=True``, ``train.output["version"]``.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. A version without a passing blessing is a
        bad verdict.

    Notes
    -----
    XCom: ``passed, reasons, model_name, version, changed, superseded_by, previous_champion, champions_set_by_hand,
    verdict, model_version_url``. When the champion changed, an asset event on ``mlflow://models/<model_name>`` and on
    ``mlflow://models/<model_name>@champion`` says so. Promoting the champion again changes nothing and passes.
    ``champions_set_by_hand`` has versions that this task found to be champion by no task of this package; they are
    entered in the ledger. A version that somebody went back from since its evaluation must be evaluated again.

    Examples
    --------
    >>> PromoteModelOperator(task_id="promote", model_name="churn", on_reject="skip")
    <Task(PromoteModelOperator): promote>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "model_name", "version")

    def __init__(self, *, model_name: str, version: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.version = version
        self.outlet = model_outlet(model_name)
        self.outlets = [*self.outlets, self.outlet]

    def perform(self, context: Context) -> dict[str, Any]:
        """Promote, or say why not."""
        from airflow_mlops_provider.registry.champion import set_by_hand
        from airflow_mlops_provider.registry.promotion import promote, version_to_promote
        from airflow_mlops_provider.registry.versions import CHAMPION

        check_model_name(self.model_name)
        op = op_of(context, self.model_name)
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            version = version_to_promote(registry, self.model_name, self.version, op=op)
            actor = actor_of(context)
            outcome = promote(registry, version, promoted_by=actor, now=now_text(), op=op)
            by_hand = set_by_hand(registry, self.model_name, by=actor)
            url = registry.version_url(model_name=self.model_name, version=version.version)
        result = {
            "passed": outcome.promoted,
            "reasons": list(outcome.reasons),
            "model_name": self.model_name,
            "version": version.version,
            "run_id": version.run_id,
            "changed": outcome.changed,
            "superseded_by": outcome.superseded_by,
            "previous_champion": outcome.previous,
            "champions_set_by_hand": by_hand,
            "verdict": outcome.verdict,
            "model_version_url": url,
        }
        if outcome.superseded_by is not None:
            self.log.warning(
                "An earlier try had made version %s champion; %s is champion now",
                version.version,
                outcome.superseded_by,
            )
        if outcome.changed:
            self.log.info("Champion of %r: version %s after %s", self.model_name, version.version, outcome.previous)
            extra = {
                "event": "promoted",
                "version": version.version,
                "previous_champion": outcome.previous,
                "run_id": version.run_id,
                **primary_metric(version.tags),
            }
            emit(context, self.outlet, model_name=self.model_name, extra=extra, alias=CHAMPION)
        return result
