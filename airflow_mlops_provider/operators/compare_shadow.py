"""The shadow operator: how far a challenger agrees with the champion on the same rows, and which of them was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, drift_experiment
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.operators.shadow_rows import Outputs
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.session import Registry

REPORT = "shadow/report.html"


class CompareShadowOperator(MLOpsOperator):
    """Compare the shadows of a scoring with its champion, and record it as evidence for a promotion.

    Without labels: agreement, rank correlation and shift of the scores. With labels: also the paired difference of the
    deciding metric with its interval, over all labelled windows of these two versions so far. The gate
    ``shadow_windows_min`` asks for these.

    Scores are values of a regression, or probabilities of the champion's positive class; with more than two classes
    there is no one score, and agreement stands alone. So it does where the two versions know different classes: no
    metric compares them then, and the record says so.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    scored : XCom of a scoring task
        Or a mapping with ``version``, ``output`` and ``shadows``, of which each has ``version`` and ``output``.
        Templated.
    labels : str, path, Asset, SqlQuery, or a list of these, optional
        Rows with the keys and the target, for some or all of the scored ones. Templated.
    key_columns : sequence of str, default ()
        Keys that the scoring carried over; needed with `labels`.
    metric : str, optional
        Default: the champion's deciding metric.
    window_end : str
        End of the time that the rows cover, ISO 8601; default the end of the run's data interval. Templated.
    min_agreement : float, optional
        Share of equal predictions, or rank correlation for a regression, below which the verdict is bad.
    confidence : float, default 0.95
        Of the interval.
    seed : int, default 0
        Of the bootstrap.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> monitoring``; the gate looks nowhere else.

    Notes
    -----
    XCom: ``passed, reasons, model_name, version, window_end, comparisons``; each comparison has ``version, agreement,
    labelled_rows, record, run_id, run_url, report_url``.

    Examples
    --------
    >>> CompareShadowOperator(
    ...     task_id="compare",
    ...     model_name="churn",
    ...     scored="{{ ti.xcom_pull('score') }}",
    ...     labels="/labels/{{ ds }}.parquet",
    ...     key_columns=["customer_id"],
    ... )
    <Task(CompareShadowOperator): compare>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "scored",
        "labels",
        "window_end",
    )

    def __init__(
        self,
        *,
        model_name: str,
        scored: Any,
        labels: Any = None,
        key_columns: Sequence[str] = (),
        metric: str | None = None,
        window_end: str = WINDOW_END,
        min_agreement: float | None = None,
        confidence: float = 0.95,
        seed: int = 0,
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(experiment_name=drift_experiment(experiment_name, model_name), **kwargs)
        if isinstance(key_columns, str) or (labels is not None and not key_columns):
            raise InputError("CompareShadowOperator needs a list of key_columns to join labels with predictions.")
        if min_agreement is not None and not -1 <= min_agreement <= 1:
            raise InputError(f"min_agreement of CompareShadowOperator must be at most 1; got {min_agreement!r}.")
        if not 0 < confidence < 1:
            raise InputError(f"confidence of CompareShadowOperator must lie between 0 and 1; got {confidence!r}.")
        self.model_name = model_name
        self.scored = scored
        self.labels = labels
        self.key_columns = tuple(key_columns)
        self.metric = metric
        self.window_end = window_end
        self.min_agreement = min_agreement
        self.confidence = confidence
        self.seed = seed

    def perform(self, context: Context) -> dict[str, Any]:
        """Compare each shadow and record it."""
        from airflow_mlops_provider.operators.scoring_model import read_version_evidence
        from airflow_mlops_provider.operators.shadow_rows import read_outputs
        from airflow_mlops_provider.registry.monitoring import Window
        from airflow_mlops_provider.registry.versions import by_number

        scored = _scored(self.scored)
        shadows = [one for one in scored["shadows"] if one.get("output")]
        if not shadows:
            self.log.info("Nothing stood in the shadow of this scoring")
        window = Window.parse(str(self.window_end))
        comparisons = []
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            champion = by_number(registry, self.model_name, str(scored["version"]))
            evidence = read_version_evidence(registry, champion)
            theirs = [
                read_version_evidence(registry, by_number(registry, self.model_name, str(one["version"])))
                for one in shadows
            ]
        for one, its in zip(shadows, theirs, strict=True):
            outputs = read_outputs(
                champion=scored["output"],
                shadow=one["output"],
                keys=self.key_columns,
                evidence=evidence,
                shadow_evidence=its,
                labels=self.render_data(self.labels, context),
            )
            with MlflowHook(self.mlflow_conn_id).open() as registry:
                comparisons.append(
                    self._record(
                        context, registry, evidence, outputs, champion.version, str(one["version"]), window.tag
                    )
                )
        reasons = self._objections(comparisons)
        return {
            "passed": not reasons,
            "reasons": reasons,
            "model_name": self.model_name,
            "version": champion.version,
            "window_end": window.tag,
            "comparisons": comparisons,
        }

    def _objections(self, comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
        if self.min_agreement is None:
            return []
        reasons = []
        for one in comparisons:
            found = one["agreement"]
            value = found["rank_correlation"] if found["agreement"] is None else found["agreement"]
            if value is None or value < self.min_agreement:
                said = "nothing" if value is None else f"{value:.3g}"
                reasons.append(f"version {one['version']} agrees to {said}, {self.min_agreement:g} required")
        return reasons

    def _record(
        self,
        context: Context,
        registry: Registry,
        evidence: TrainingEvidence,
        outputs: Outputs,
        champion: str,
        shadow: str,
        window: str,
    ) -> dict[str, Any]:
        from airflow_mlops_provider.core.shadow import ShadowRecord, record
        from airflow_mlops_provider.registry.monitoring import WINDOW_END
        from airflow_mlops_provider.registry.runs import logged_run
        from airflow_mlops_provider.registry.shadow import LABELLED, PAIR, pair_tag, read_windows, write_window

        tags = {
            **context_tags(context, type(self).__name__),
            PAIR: pair_tag(champion=champion, shadow=shadow),
            LABELLED: str(outputs.labelled is not None).lower(),
            WINDOW_END: window,
        }
        if outputs.reason:
            found = ShadowRecord(windows=0, rows=0, difference=None, reason=outputs.reason)
        else:
            windows = read_windows(
                registry,
                model_name=self.model_name,
                champion=champion,
                shadow=shadow,
                task=evidence.task,
                labels=[str(one) for one in evidence.classes],
            )
            if outputs.labelled is not None:
                windows[window] = outputs.labelled
            found = record(
                list(windows.values()),
                metric=self.metric or evidence.metric,
                confidence=self.confidence,
                seed=self.seed,
            )
        result = {
            "version": shadow,
            "agreement": outputs.agreement.to_dict(),
            "labelled_rows": 0 if outputs.labelled is None else outputs.labelled[0].n_rows,
            "record": found.to_dict(),
        }
        with logged_run(
            registry,
            experiment_name=self.experiment_name,
            run_name=f"shadow {shadow} of {self.model_name} {champion} to {window}",
            tags=tags,
        ) as run:
            if outputs.labelled is not None:
                write_window(run, *outputs.labelled)
            metrics = {key: value for key, value in outputs.agreement.to_dict().items() if value is not None}
            if found.difference is not None:
                one = found.difference
                metrics |= {"difference": one.difference, "lower": one.lower, "upper": one.upper}
            run.log_metrics({**metrics, "windows": found.windows})
            run.log_dict(result, "shadow/comparison.json")
            run.log_text(self._html(result, champion=champion, window=window), REPORT)
            urls = {"run_id": run.run_id, "run_url": run.url(), "report_url": run.url(REPORT)}
        self.log.info("Version %s in the shadow of %s: %s", shadow, champion, result["agreement"])
        return {**result, **urls}

    def _html(self, result: Mapping[str, Any], *, champion: str, window: str) -> str:
        from airflow_mlops_provider.reports.checks import checks_report

        difference = result["record"]["difference"]
        figures = {**result["agreement"], "labelled windows": result["record"]["windows"]}
        if difference is not None:
            metric = difference["metric"]
            figures |= {f"{metric} difference": difference["difference"], "at least": difference["lower"]}
        reason = result["record"]["reason"]
        return checks_report(
            kind="Shadow",
            title=f"Version {result['version']} of {self.model_name} in the shadow of version {champion}",
            word="Compared",
            good=True,
            reasons=[reason] if reason else [],
            figures={name.replace("_", " "): value for name, value in figures.items()},
            sections={},
            about={"Window to": window, "Difference": "positive where the shadow is better, over all labelled windows"},
        )


def _scored(given: Any) -> Mapping[str, Any]:
    """Check what a user gives as the result of a scoring."""
    wanted = ("version", "output", "shadows")
    if not isinstance(given, Mapping) or any(name not in given for name in wanted):
        raise InputError(
            f"scored of CompareShadowOperator must be the XCom of a scoring task, with {', '.join(wanted)}; "
            f"got {type(given).__name__}. Hint: scored=score.output, or render_template_as_native_obj=True."
        )
    return given
