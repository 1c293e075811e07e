"""The rollback operator: an earlier champion serves again, proven whole before, and the record says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.effects import actor_of, now_text, op_of
from airflow_mlops_provider.operators.model_events import emit, model_outlet

if TYPE_CHECKING:
    from airflow.sdk import Context

CHAMPION = "champion"


class RollbackModelOperator(MLOpsOperator):
    """Make an earlier champion champion again.

    The version to go back to is fetched, compared with the SHA-256 of its files and loaded in a process with limits
    before anything moves. Nothing is deleted. A version that somebody went back from is not gone back to later, unless
    it is named or promoted again.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    reason : str
        Why; stays in the ledger. Templated.
    to_version : str or int, optional
        Version to go back to; default the latest earlier champion whose files are whole and load. Templated; an empty
        text is the default.
    from_version : str or int, optional
        The champion to leave. When another one is champion by then, nothing is changed and the task succeeds, so that
        of two runs against the same bad version the later one does no harm. Default is the champion when the task
        looks. Templated; an empty text is the default.
    trusted_types : sequence of str
        Types in the model, beyond scikit-learn's own, that may be loaded.
    allow_pickle : bool, default False
        Whether a pickled model may be loaded, which runs code of the file's choice.
    trial_memory_megabytes, trial_cpu_seconds : int, default 4096 and 120
        Limits of the process that tries the model.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``model_name, version, previous_champion, champions_set_by_hand, changed, reason, passed_over,
    model_version_url``. When the champion changed, an asset event on ``mlflow://models/<model_name>@champion`` says so.

    Examples
    --------
    >>> RollbackModelOperator(task_id="rollback", model_name="churn", reason="{{ params.reason }}")
    <Task(RollbackModelOperator): rollback>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "to_version",
        "from_version",
        "reason",
    )
    ui_color = "#f5ded7"

    def __init__(
        self,
        *,
        model_name: str,
        reason: str,
        to_version: Any = None,
        from_version: Any = None,
        trusted_types: Sequence[str] = (),
        allow_pickle: bool = False,
        trial_memory_megabytes: int = 4096,
        trial_cpu_seconds: int = 120,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.reason = reason
        self.to_version = to_version
        self.from_version = from_version
        self.trusted_types = tuple(trusted_types)
        self.allow_pickle = allow_pickle
        self.trial_memory_megabytes = trial_memory_megabytes
        self.trial_cpu_seconds = trial_cpu_seconds
        self.outlet = model_outlet(model_name)
        self.outlets = [*self.outlets, self.outlet]

    def perform(self, context: Context) -> dict[str, Any]:
        """Choose, prove, move."""
        from airflow_mlops_provider.registry.champion import set_by_hand
        from airflow_mlops_provider.registry.rollback import roll_back
        from airflow_mlops_provider.registry.trial import Loading, TrialLimits

        check_model_name(self.model_name)
        if not isinstance(self.reason, str) or not self.reason.strip():
            raise InputError(f"reason of RollbackModelOperator must be a text that is not empty; got {self.reason!r}.")
        limits = TrialLimits(memory_megabytes=self.trial_memory_megabytes, cpu_seconds=self.trial_cpu_seconds)
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            outcome = roll_back(
                registry,
                self.model_name,
                to_version=_text(self.to_version),
                from_version=_text(self.from_version),
                reason=self.reason,
                by=actor_of(context),
                now=now_text(),
                op=op_of(context, self.model_name),
                loading=Loading(trusted_types=self.trusted_types, allow_pickle=self.allow_pickle, limits=limits),
            )
            by_hand = set_by_hand(registry, self.model_name, by=actor_of(context))
            url = registry.version_url(model_name=self.model_name, version=outcome.version)
        for one in outcome.passed_over:
            self.log.warning("Passed over: %s", one)
        if outcome.changed:
            self.log.info("Champion of %r: version %s after %s", self.model_name, outcome.version, outcome.previous)
            extra = {
                "event": "rolled_back",
                "version": outcome.version,
                "previous_champion": outcome.previous,
                "reason": self.reason[:500],
            }
            emit(context, self.outlet, model_name=self.model_name, extra=extra, alias=CHAMPION)
        return {
            "model_name": self.model_name,
            "version": outcome.version,
            "previous_champion": outcome.previous,
            "champions_set_by_hand": by_hand,
            "changed": outcome.changed,
            "reason": self.reason[:500],
            "passed_over": [one[:300] for one in outcome.passed_over],
            "model_version_url": url,
        }


def _text(version: Any) -> str | None:
    return None if version in (None, "") else str(version)
