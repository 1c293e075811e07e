"""The backtest operator: what several policies for retraining would have cost and given on past data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.backtest import check_windows, policies_of
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.metrics import find
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.specs import TrainSettings, candidates_of, from_mapping
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.retrain_arguments import past_window
from airflow_mlops_provider.operators.tracking import context_tags
from airflow_mlops_provider.operators.train_model import split_of

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.sdk import Context

    from airflow_mlops_provider.core.backtest import Replay
    from airflow_mlops_provider.training.backtest import RealWorld

REPORT = "backtest/report.html"
RESULT = "backtest/replays.json"
COMPARED: Mapping[str, RetrainPolicy | None] = {
    "default": RetrainPolicy(),
    "monthly": RetrainPolicy.on_schedule("@monthly"),
    "any drift": RetrainPolicy.on_any_drift(),
    "never": None,
}


class BacktestRetrainPolicyOperator(MLOpsOperator):
    """Live through past windows under several policies, and compare what each cost and gave.

    A first model is trained on the initial data. Then, window by window and for each policy by itself, the model that
    serves is scored, checked for drift, estimated and, once labels had come, judged; the policy decides; and where it
    retrains, a model is trained on what had labels by then. Models and checks that several policies share are made
    once.

    Parameters
    ----------
    initial_data : str, path, Asset, SqlQuery, or a list of these
        Labelled rows that the first model learns from. Templated.
    windows : list of mappings
        In order: ``data`` (labelled rows, as known today), ``start`` and ``end`` (ISO 8601 with a zone) and, optional,
        ``labels_known_at``: the time when its labels had come, or ``"never"``. Windows must not overlap. Templated.
    target : str
        Column to predict. Templated.
    estimator, settings
        As `estimator` of TrainModelOperator; `settings` is a mapping of its other training arguments, such as ``folds``
        and ``metric``.
    policies : mapping of str to RetrainPolicy, mapping of its fields, or None
        By name; None never retrains. Default: the default policy, monthly, on any drift, and never.
    training_windows : int, optional
        A training takes the latest so many labelled windows; default all of them and the initial data.
    label_delay : timedelta, default 0
        When labels had come, counted from the window's end, where a window does not say it.
    performance, estimate, drift : policies of the checks, or mappings of their fields, optional
        As the checks of the live model have them.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``metric, policies, windows, trainings, run_id, experiment_id, run_url, report_url``; of each policy its
    ``policy`` (name), ``retrains``, ``mean`` (the metric, by time), ``degraded_days`` and ``retrained_at``. A model is
    degraded where it is worse than the first one was on its held-out rows, beyond chance and by enough to matter. The
    MLflow run has the table and a picture of the metric over time (``backtest/report.html``) and all decisions
    (``backtest/replays.json``).

    Each retraining replaces the model: gates, failed trainings and rejected challengers are not replayed. Rows must not
    be in two windows: a model would be judged on what it learned from.

    Raises
    ------
    InvalidInputError
        Windows overlap, are out of order or have times without a zone; rows or labels are missing. Not retried.
    RetryableError
        MLflow or the data do not answer; a retry begins anew.

    Examples
    --------
    >>> BacktestRetrainPolicyOperator(
    ...     task_id="backtest",
    ...     initial_data="/customers/2025.parquet",
    ...     windows="{{ ti.xcom_pull('months') }}",
    ...     target="churn",
    ...     estimator="sklearn.ensemble.HistGradientBoostingClassifier",
    ...     policies={"ours": {"drift_windows": 2}, "monthly": {"schedule": "@monthly"}, "never": None},
    ... )
    <Task(BacktestRetrainPolicyOperator): backtest>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "initial_data", "windows", "target", "estimator")

    def __init__(
        self,
        *,
        initial_data: Any,
        windows: Any,
        target: str,
        estimator: Any,
        settings: Mapping[str, Any] | None = None,
        policies: Mapping[str, Any] = COMPARED,
        training_windows: int | None = None,
        label_delay: timedelta = timedelta(0),
        performance: PerformancePolicy | Mapping[str, Any] | None = None,
        estimate: EstimatePolicy | Mapping[str, Any] | None = None,
        drift: DriftPolicy | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.initial_data = initial_data
        self.windows = windows
        self.target = target
        self.estimator = estimator
        given = {"folds": 0, **(settings or {})}
        self.settings = from_mapping(TrainSettings, {**given, "split": split_of(given.get("split"))})
        if self.settings.metric is not None:
            find(self.settings.metric, task=self.settings.task)
        self.policies = policies_of(policies)
        if training_windows is not None and (isinstance(training_windows, bool) or not training_windows >= 1):
            raise InputError(f"training_windows of a backtest must be at least 1; got {training_windows!r}.")
        self.training_windows = training_windows
        if not isinstance(label_delay, timedelta) or label_delay < timedelta(0):
            raise InputError(f"label_delay of a backtest must be a timedelta from 0; got {label_delay!r}.")
        self.label_delay = label_delay
        self.performance = _policy(PerformancePolicy, performance)
        self.estimate = _policy(EstimatePolicy, estimate)
        self.drift = _policy(DriftPolicy, drift)

    def perform(self, context: Context) -> dict[str, Any]:
        """Read, live through, compare."""
        from airflow_mlops_provider.core.backtest import replay, table

        past = [past_window(one, label_delay=self.label_delay) for one in _listed(self.windows)]
        check_windows([one.window for one in past])
        world = self._world(context, past)
        windows = [one.window for one in past]
        replays = [replay(windows, policy, world, name=name) for name, policy in self.policies.items()]
        for line in table(replays, metric=world.metric).splitlines():
            self.log.info("%s", line)
        return self._record(context, replays, world)

    def _world(self, context: Context, past: Sequence[Any]) -> RealWorld:
        from airflow_mlops_provider.training.backtest import RealWorld, check_rows

        initial = self._read(self.initial_data, context)
        tables = [self._read(one.data, context) for one in past]
        named = {f"to {one.window.end.isoformat()}": rows for one, rows in zip(past, tables, strict=True)}
        check_rows(named, target=self.target)
        return RealWorld(
            windows=[one.window for one in past],
            tables=tables,
            initial=initial,
            target=self.target,
            candidates=candidates_of(self.estimator),
            settings=self.settings,
            training_windows=self.training_windows,
            performance=self.performance,
            estimate=self.estimate,
            drift=self.drift,
            log=self.log.info,
        )

    def _read(self, data: Any, context: Context) -> pa.Table:
        with open_data(self.render_data(data, context)) as source:
            return source.to_table()

    def _record(self, context: Context, replays: Sequence[Replay], world: RealWorld) -> dict[str, Any]:
        from airflow_mlops_provider.registry.runs import logged_run
        from airflow_mlops_provider.reports.backtest import backtest_report

        plain = [one.to_dict() for one in replays]
        settings = {name: None if one is None else one.to_dict() for name, one in self.policies.items()}
        with (
            MlflowHook(self.mlflow_conn_id).open() as registry,
            logged_run(
                registry,
                experiment_name=self.experiment_name,
                run_name="backtest of retraining",
                tags=context_tags(context, type(self).__name__),
            ) as run,
        ):
            run.log_dict({"metric": world.metric, "replays": plain, "policies": settings}, RESULT)
            run.log_text(backtest_report(replays, metric=world.metric, policies=settings), REPORT)
            return {
                "metric": world.metric,
                "policies": [
                    {
                        **{key: one[key] for key in ("policy", "retrains", "mean", "degraded_days")},
                        "retrained_at": [step["window_end"] for step in one["windows"] if step["retrained"]],
                    }
                    for one in plain
                ],
                "windows": len(replays[0].steps),
                "trainings": world.trainings,
                "run_id": run.run_id,
                "experiment_id": run.experiment_id,
                "run_url": run.url(),
                "report_url": run.url(REPORT),
            }


def _listed(windows: Any) -> Sequence[Any]:
    if isinstance(windows, str | Mapping) or not isinstance(windows, Sequence):
        raise InputError(
            f"windows of a backtest must be a list; got {windows!r}. Hint: a template that gives a list needs "
            "render_template_as_native_obj=True on the DAG."
        )
    return windows


def _policy(kind: Any, given: Any) -> Any:
    if given is None:
        return kind()
    return given if isinstance(given, kind) else kind.from_dict(given)
