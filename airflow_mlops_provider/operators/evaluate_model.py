"""The evaluation operator: challenger and champion on the same unseen rows, gates, and a recorded verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gating import DEFAULT_GATES, resolve_gates
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.comparison import Comparison, Contender, compare_on
from airflow_mlops_provider.operators.contenders import load_contender
from airflow_mlops_provider.operators.effects import actor_of, now_text, op_of
from airflow_mlops_provider.operators.evaluation_record import (
    REPORT,
    earlier_result,
    enter_rejection,
    result_of,
    version_to_judge,
)
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.sdk import Context

    from airflow_mlops_provider.core.gating import Gate, GateSpec, Verdict
    from airflow_mlops_provider.core.ledger import History
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.registry.models import LoadedModel
    from airflow_mlops_provider.registry.versions import Version


class EvaluateModelOperator(MLOpsOperator):
    """Judge a version against the champion, on rows neither of them was trained on, and record the verdict.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    data : str, path, Asset, SqlQuery, or a list of these
        Labelled rows. Those that either version was trained on are left out, so the training data themselves will do.
        Templated.
    version : str or int, optional
        Version to judge; default the one with alias ``challenger``. Templated.
    gates : list of str, mapping or gate, optional
        What the version must pass: ``"same_signature"``, ``{"gate": "min_metric", "metric": "roc_auc", "threshold":
        0.8}``. Default: enough rows of each class, better than the baseline, and better than the champion. Without a
        champion the gates of change are skipped and the version is rubber-stamped. Templated: a templated number needs
        ``render_template_as_native_obj=True`` on the DAG, or the whole list as JSON text. Gates without templates are
        checked when the DAG is parsed.
    confidence : float, default 0.95
        Of all intervals.
    seed : int, default 0
        Of the bootstrap.
    trusted_types : sequence of str
        Types in the models, beyond scikit-learn's own, that may be loaded.
    allow_pickle : bool, default False
        Whether a pickled model may be loaded, which runs code of the file's choice; the blessing says so.
    trial_memory_megabytes, trial_cpu_seconds : int, default 4096 and 120
        Limits of the process in which the version's files are loaded for the first time and predict 100 rows.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. A version that is not blessed is a bad
        verdict.

    Notes
    -----
    XCom: ``passed, reasons, verdict, model_name, version, champion_version, champions_set_by_hand, metric, metrics,
    rows, gates, run_id`` and the addresses ``run_url, report_url, model_version_url``. ``champions_set_by_hand`` has
    versions that this task found to be champion by no task of this package; they are entered in the ledger. The whole
    verdict is the version's blessing, as JSON and HTML in the evaluation's MLflow run.

    Examples
    --------
    >>> EvaluateModelOperator(
    ...     task_id="evaluate",
    ...     model_name="churn",
    ...     data="/customers/labelled.parquet",
    ...     gates=["better_than_champion", {"gate": "min_metric", "metric": "roc_auc", "threshold": 0.8}],
    ...     on_reject="skip",
    ... )
    <Task(EvaluateModelOperator): evaluate>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "model_name", "data", "version", "gates")

    def __init__(
        self,
        *,
        model_name: str,
        data: Any,
        version: Any = None,
        gates: Sequence[GateSpec] | str = DEFAULT_GATES,
        confidence: float = 0.95,
        seed: int = 0,
        trusted_types: Sequence[str] = (),
        allow_pickle: bool = False,
        trial_memory_megabytes: int = 4096,
        trial_cpu_seconds: int = 120,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.data = data
        self.version = version
        self.gates = gates
        if not isinstance(gates, str):
            # A mistake in literal gates shows when the DAG is parsed, not after an hour of training.
            literal = [gate for gate in gates if "{{" not in str(gate) and "{%" not in str(gate)]
            if literal or not gates:
                resolve_gates(literal)
        if not 0 < confidence < 1:
            raise InputError(f"confidence of EvaluateModelOperator must lie between 0 and 1; got {confidence!r}.")
        self.confidence = confidence
        self.seed = seed
        self.trusted_types = tuple(trusted_types)
        self.allow_pickle = allow_pickle
        self.trial_memory_megabytes = trial_memory_megabytes
        self.trial_cpu_seconds = trial_cpu_seconds

    def perform(self, context: Context) -> dict[str, Any]:
        """Load both versions, compare them, decide and record."""
        from airflow_mlops_provider.core.gating import decide
        from airflow_mlops_provider.registry.ledger import settle
        from airflow_mlops_provider.registry.versions import by_number

        check_model_name(self.model_name)
        actor = actor_of(context)
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            op = op_of(context, self.model_name)
            version, done = version_to_judge(registry, self.model_name, self.version, op=op, actor=actor)
            history = settle(registry, self.model_name, by=actor, now=now_text()).history
            known = history.champion
            if known is not None and known.is_same_as(version.reference()):
                done = done or earlier_result(registry, version, actor=actor)
                if done is not None:
                    self.log.info("%s was blessed by an earlier try of this task, and is champion now", version.title)
                    return done
                raise InputError(f"{version.label} is the champion itself: there is nothing to compare it with.")
            champion = None if known is None else by_number(registry, self.model_name, known.version)
        with open_data(self.render_data(self.data, context)) as source:
            fingerprint = source.fingerprint()
            table = source.to_table()
        champion_sha256 = None if known is None else history.manifest_of(known)
        ours, theirs, files = self._load(version, champion, champion_sha256, table)
        gates = resolve_gates(self._rendered_gates(), task=ours.evidence.task)
        comparison = compare_on(table, challenger=ours, champion=theirs, confidence=self.confidence, seed=self.seed)
        if champion is not None and any(one.key == "shadow_windows_min" for one in gates):
            comparison = self._with_shadow(comparison, version, champion, theirs)
        self.log.info("%d rows judged, %d left out", comparison.rows, comparison.evidence.rows_left_out)
        verdict = decide(comparison.evidence, gates)
        for one in verdict.results:
            self.log.info("%s %s: %s", "passed" if one.passed else "FAILED", one.gate, one.message)
        return self._record(context, version, champion, verdict, comparison, gates, fingerprint, files, history)

    def _load(
        self, version: Version, champion: Version | None, champion_sha256: str | None, table: pa.Table
    ) -> tuple[Contender, Contender | None, LoadedModel]:
        from airflow_mlops_provider.registry.trial import Loading, TrialLimits

        limits = TrialLimits(memory_megabytes=self.trial_memory_megabytes, cpu_seconds=self.trial_cpu_seconds)
        loading = Loading(trusted_types=self.trusted_types, allow_pickle=self.allow_pickle, limits=limits)
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            ours, files = load_contender(registry, version, known_sha256=None, table=table, loading=loading)
            if champion is None:
                return ours, None, files
            theirs, _ = load_contender(registry, champion, known_sha256=champion_sha256, table=table, loading=loading)
        return ours, theirs, files

    def _with_shadow(
        self, comparison: Comparison, version: Version, champion: Version, theirs: Contender | None
    ) -> Comparison:
        """Add what the challenger has shown in the shadow of this champion; nothing where it never stood there."""
        from airflow_mlops_provider.core.shadow import record
        from airflow_mlops_provider.registry.shadow import read_windows

        if theirs is None:
            return comparison
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            windows = read_windows(
                registry,
                model_name=version.model_name,
                champion=champion.version,
                shadow=version.version,
                task=theirs.evidence.task,
                labels=[str(one) for one in theirs.evidence.classes],
            )
        if not windows:
            return comparison
        shown = record(list(windows.values()), metric=comparison.metric, confidence=self.confidence, seed=self.seed)
        return replace(comparison, evidence=replace(comparison.evidence, shadow=shown))

    def _rendered_gates(self) -> Any:
        if not isinstance(self.gates, str):
            return self.gates
        import json

        try:
            return json.loads(self.gates)
        except json.JSONDecodeError as error:
            raise InputError(f"gates must be a list, or its JSON text; got {self.gates!r}: {error}.") from error

    def _record(
        self,
        context: Context,
        version: Version,
        champion: Version | None,
        verdict: Verdict,
        comparison: Comparison,
        gates: Sequence[Gate],
        fingerprint: Fingerprint,
        files: LoadedModel,
        history: History,
    ) -> dict[str, Any]:
        from airflow_mlops_provider.registry.blessings import write_blessing
        from airflow_mlops_provider.registry.runs import logged_run
        from airflow_mlops_provider.reports.blessing import blessing_report
        from airflow_mlops_provider.reports.figures import prediction_figures

        blessing = {
            "schema": 1,
            **verdict.to_dict(),
            "model_name": version.model_name,
            "version": version.version,
            "model_id": version.model_id,
            "champion_version": None if champion is None else champion.version,
            "ledger_entries": len(history.entries),
            "manifest_sha256": files.manifest.sha256,
            "format": "pickle" if files.pickled else "skops",
            "evaluated_at": now_text(),
            "evaluated_by": actor_of(context),
            "confidence": self.confidence,
            "seed": self.seed,
            "metric": comparison.metric,
            "fingerprint": fingerprint.to_dict(),
            **comparison.to_dict(),
        }
        figures = prediction_figures(comparison.evidence.challenger, seed=self.seed)
        with (
            MlflowHook(self.mlflow_conn_id).open() as registry,
            logged_run(
                registry,
                experiment_name=self.experiment_name,
                run_name=f"evaluate {version.model_name} {version.version}",
                tags={**context_tags(context, type(self).__name__), "mlops.verdict": verdict.verdict},
            ) as run,
        ):
            run.log_dataset(fingerprint, context="evaluation")
            run.log_metrics(comparison.flat_metrics())
            run.log_text(blessing_report(blessing, figures), REPORT)
            write_blessing(run, version, blessing)
            if not verdict.passed:
                subject, op = version.reference(files.manifest.sha256), op_of(context, self.model_name)
                enter_rejection(registry, subject, blessing, op=op, run_id=run.run_id)
            return result_of(run, blessing)
