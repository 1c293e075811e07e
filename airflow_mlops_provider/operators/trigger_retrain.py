"""The retraining operator: from what was found about the champion to one training run, or why not.

It decides nothing itself and trains nothing. The decision is entered in the ledger before the run is started, and the
run has an id that follows from the entry, so wherever a try is cut off, the next one goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.dag_runs import ENDED, MISSING, is_paused, run_state, start_run
from airflow_mlops_provider.operators.effects import actor_of, op_of
from airflow_mlops_provider.operators.retrain_arguments import conf_of, moment_of, rows_of, run_ids_of
from airflow_mlops_provider.operators.retrain_result import result_of, result_of_request

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.core.ledger_entry import Entry
    from airflow_mlops_provider.registry.retraining import Answer, Asking


class TriggerRetrainOperator(MLOpsOperator):
    """Start the training DAG when, and only when, it pays.

    Reads the checks of the present champion from MLflow, decides by the policy and enters the decision in the model's
    ledger. A retry, a monitor that runs twice and a hundred alarms at once give one training run, because its id
    follows from the model, the champion's time in office and the latest evidence.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    trigger_dag_id : str
        The training DAG. One that does not exist fails the task; one that is paused suppresses (Airflow 3.1 does not
        tell: there its run waits until somebody unpauses it). Templated.
    policy : RetrainPolicy or mapping of its fields, optional
        When it pays.
    conf : mapping, optional
        For the training run, such as where its data are; under ``retrain`` are added ``model_name, reasons, evidence,
        window_end, ledger_entry, requested_by``. Templated.
    checks : list of XComs, optional
        Results of check tasks, whose MLflow runs count beside those in the model's monitoring experiment: needed for
        checks that were recorded elsewhere. Those of skipped tasks (None) are left out. Templated.
    new_rows : int, optional
        Labelled rows to learn from, for `min_new_rows` of the policy; default as the performance checks counted them.
        Templated.
    now : str, optional
        Time to decide at, ISO 8601 with a zone, for simulations; default the clock. Templated.
    wait_for_completion : bool, default False
        Whether to wait until the training run has ended; one that failed is a bad verdict then.
    deferrable : bool, default False
        Wait in the triggerer.
    poke_interval_seconds : float, default 60
        Between two looks at the training run.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``passed, retrain, reasons, suppressed_by, notes, next_possible_at, model_name, champion_version, window_end,
    trigger_dag_id, trigger_run_id, ledger_entry, outcome``. The outcome is, after waiting, ``promoted``, ``rejected``,
    ``finished`` (neither yet) or ``failed``.

    A training that failed is asked for again when the policy's cooldown, doubled, is over; after a rejected challenger
    new evidence is needed, too. Each further one doubles it again, until another version becomes champion.

    Raises
    ------
    InvalidInputError
        There is no champion, the training DAG does not exist or does not parse, or an argument is wrong. Not retried.
    RejectedError
        The training run that was waited for failed and ``on_reject="fail"``. Not retried.
    RetryableError
        MLflow or Airflow does not answer. What was entered in the ledger stays, and a retry goes on from there.

    Examples
    --------
    >>> TriggerRetrainOperator(task_id="retrain", model_name="churn", trigger_dag_id="churn_training")
    <Task(TriggerRetrainOperator): retrain>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "trigger_dag_id",
        "conf",
        "checks",
        "new_rows",
        "now",
    )
    ui_color = "#e4def5"

    def __init__(
        self,
        *,
        model_name: str,
        trigger_dag_id: str,
        policy: RetrainPolicy | Mapping[str, Any] | None = None,
        conf: Mapping[str, Any] | None = None,
        checks: Any = None,
        new_rows: Any = None,
        now: str | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = False,
        poke_interval_seconds: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.trigger_dag_id = trigger_dag_id
        self.policy = RetrainPolicy.of(policy)
        self.conf = conf
        self.checks = checks
        self.new_rows = new_rows
        self.now = now
        if deferrable and not wait_for_completion:
            raise InputError(
                "deferrable of TriggerRetrainOperator has no meaning without wait_for_completion: it starts a run and "
                "ends. Hint: wait_for_completion=True."
            )
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        if isinstance(poke_interval_seconds, bool) or not poke_interval_seconds > 0:
            raise InputError(
                f"poke_interval_seconds of TriggerRetrainOperator must be above 0; got {poke_interval_seconds!r}."
            )
        self.poke_interval_seconds = poke_interval_seconds

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Go on when the training run has ended; the ledger knows which one it was, whoever had asked for it."""
        return self.execute(context)

    def perform(self, context: Context) -> dict[str, Any]:
        """Decide, enter, start; or go on with what an earlier try of this task entered."""
        from airflow_mlops_provider.registry.retraining import ask, find_request

        check_model_name(self.model_name)
        conf, rows, run_ids = conf_of(self.conf), rows_of(self.new_rows), run_ids_of(self.checks)
        asking = self._asking(context)
        ti = context["ti"]
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            mine = find_request(registry, self.model_name, asking.op)
            if mine is None:
                answer = ask(
                    registry,
                    asking,
                    run_states=lambda entries: self._states(context, entries, asking.namespace),
                    check_run_ids=run_ids,
                    new_rows=rows,
                    target_paused=is_paused(ti, self.trigger_dag_id),
                )
                self._tell(answer)
                result = result_of(answer, model_name=self.model_name, dag_id=self.trigger_dag_id)
                self._start_what_was_cut_off(context, asking, answer, conf)
                mine = answer.entry if answer.decision.retrain else None
            else:
                self.log.info(
                    "An earlier try made or shares the request in ledger entry %d; going on with it", mine.number
                )
                result = result_of_request(mine, model_name=self.model_name)
            if mine is None or not self._start(context, asking, mine, conf):
                return result
        if not self.wait_for_completion:
            return result
        return self._outcome(context, mine, result)

    def _asking(self, context: Context) -> Asking:
        from airflow.configuration import conf as options

        from airflow_mlops_provider.registry.retraining import Asking

        if not isinstance(self.trigger_dag_id, str) or not self.trigger_dag_id.strip():
            raise InputError(f"trigger_dag_id of TriggerRetrainOperator must name a DAG; got {self.trigger_dag_id!r}.")
        return Asking(
            model_name=self.model_name,
            policy=self.policy,
            now=moment_of(self.now),
            by=actor_of(context),
            op=op_of(context, self.model_name),
            namespace=options.get("mlops", "namespace", fallback=""),
            dag_id=self.trigger_dag_id,
        )

    def _states(self, context: Context, entries: Sequence[Entry], namespace: str) -> dict[str, str]:
        """Return the states of the training runs of this Airflow; of another one's nothing is known."""
        return {
            str(one.details["run_id"]): run_state(context["ti"], str(one.details["dag_id"]), str(one.details["run_id"]))
            for one in entries
            if one.details.get("namespace") == namespace
        }

    def _start_what_was_cut_off(self, context: Context, asking: Asking, answer: Answer, conf: dict[str, Any]) -> None:
        """Start the run of a request whose own task died before it could."""
        lost = {
            one.number for one in answer.state.requests if one.outcome == MISSING and one.epoch == answer.state.epoch
        }
        for entry in answer.history.entries:
            # One for another DAG is left to its own monitors; it may have been asked for by a wrong name.
            ours = entry.number in lost and entry.details["dag_id"] == self.trigger_dag_id
            if ours and asking.now < datetime.fromisoformat(entry.at) + self.policy.cooldown:
                self.log.warning("The request in ledger entry %d has no run yet: starting it", entry.number)
                self._start(context, asking, entry, conf)

    def _start(self, context: Context, asking: Asking, entry: Entry, conf: dict[str, Any]) -> bool:
        """Start the run of a request; False when it belongs to another Airflow."""
        details = entry.details
        if details["namespace"] != asking.namespace:
            self.log.info("The same evidence was answered by Airflow deployment %r", details["namespace"])
            return False
        about = {
            "model_name": self.model_name,
            "reasons": entry.reason,
            "evidence": details["evidence"],
            "window_end": details["window_end"],
            "ledger_entry": entry.number,
            "requested_by": dict(entry.by),
        }
        started = start_run(context["ti"], details["dag_id"], details["run_id"], {**conf, "retrain": about})
        self.log.info("Run %s of DAG %s %s", details["run_id"], details["dag_id"], "started" if started else "is there")
        return True

    def _tell(self, answer: Answer) -> None:
        decision = answer.decision
        for one in (*decision.reasons, *decision.notes):
            self.log.info("%s", one)
        if decision.suppressed_by:
            held, possible = ", ".join(decision.suppressed_by), decision.next_possible_at.isoformat()
            self.log.warning("Not retrained: %s; by the clock possible from %s", held, possible)

    def _outcome(self, context: Context, entry: Entry, result: dict[str, Any]) -> dict[str, Any]:
        """Wait until the training run has ended, and say how."""
        from airflow_mlops_provider.core.retrain_state import requests_of
        from airflow_mlops_provider.registry.ledger import read_history

        dag_id, run_id = entry.details["dag_id"], entry.details["run_id"]
        while (state := run_state(context["ti"], dag_id, run_id)) not in ENDED:
            if state == MISSING:
                raise InputError(f"Run {run_id!r} of DAG {dag_id!r} was deleted while it was waited for.")
            if self.deferrable:
                self._defer(dag_id, run_id)
            time.sleep(self.poke_interval_seconds)
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            requests = requests_of(read_history(registry, self.model_name), {run_id: state})
        outcome = next(one.outcome for one in requests if one.number == entry.number)
        self.log.info("Run %s of DAG %s ended: %s", run_id, dag_id, outcome)
        if outcome != "failed":
            return {**result, "outcome": outcome}
        failed = f"run {run_id} of DAG {dag_id} failed; it is asked for again after a pause"
        return {**result, "outcome": outcome, "passed": False, "reasons": [failed, *result["reasons"]]}

    def _defer(self, dag_id: str, run_id: str) -> None:
        from airflow.providers.standard.triggers.external_task import DagStateTrigger

        trigger = DagStateTrigger(
            dag_id=dag_id,
            states=sorted(ENDED),  # type: ignore[arg-type]  # they travel as text
            run_ids=[run_id],
            poll_interval=self.poke_interval_seconds,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)
