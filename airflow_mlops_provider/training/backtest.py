"""Past windows with real models: trains on what was there, watches and judges as the checks of a live model do.

Each model, score and check is made once, however many policies ask for it. Rows in memory only; it knows nothing of
where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_mlops_provider.core.backtest import PastWindow, Score
from airflow_mlops_provider.core.decide_drift import decide_drift
from airflow_mlops_provider.core.decide_estimate import decide_estimate
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.expected import Scored, estimable
from airflow_mlops_provider.core.metric_change import metric_change, value_of
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.core.retrain_state import Check
from airflow_mlops_provider.core.specs import Candidate, TrainSettings
from airflow_mlops_provider.training.columns import to_frame
from airflow_mlops_provider.training.predict import predict
from airflow_mlops_provider.training.target import read_target
from airflow_mlops_provider.training.train import Trained, train

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.performance import MetricValue
    from airflow_mlops_provider.core.performance_report import MetricChange
    from airflow_mlops_provider.core.predictions import Predictions
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.training.fit import Log

_Found = TypeVar("_Found")


class RealWorld:
    """A :class:`~airflow_mlops_provider.core.backtest.World` of real rows and scikit-learn models.

    Parameters
    ----------
    windows : sequence of PastWindow
        When each window was.
    tables : sequence of pyarrow.Table
        Its rows, with the target.
    initial : pyarrow.Table
        Rows that the first model learns from.
    target : str
        Column to predict.
    candidates : sequence of Candidate
        As in training.
    settings : TrainSettings
        As in training. The hash split keeps a row on its side in each training.
    training_windows : int or None
        A training takes the latest so many windows with labels; None all, and the initial rows.
    performance, estimate, drift
        Policies of the checks.
    log : callable
        Told of each training.
    """

    def __init__(
        self,
        *,
        windows: Sequence[PastWindow],
        tables: Sequence[pa.Table],
        initial: pa.Table,
        target: str,
        candidates: Sequence[Candidate],
        settings: TrainSettings,
        training_windows: int | None,
        performance: PerformancePolicy,
        estimate: EstimatePolicy,
        drift: DriftPolicy,
        log: Log,
    ) -> None:
        if len(windows) != len(tables):
            raise InputError(f"A backtest needs rows for each window; got {len(tables)} for {len(windows)}.")
        self._windows, self._tables, self._initial = windows, tables, initial
        self._target, self._candidates, self._settings = target, candidates, settings
        self._training_windows = training_windows
        self._performance, self._estimate, self._drift = performance, estimate, drift
        self._log = log
        self._models: dict[tuple[int, ...], int] = {}
        self._trained: list[_Model] = []
        self._seen: dict[tuple[str, int, int], Any] = {}

    @cached_property
    def metric(self) -> str:
        """The metric that decides."""
        self.train(())
        return self._performance.metric or self._trained[0].trained.prepared.metric

    @property
    def trainings(self) -> int:
        """How many models were trained."""
        return len(self._trained)

    def train(self, known: Sequence[int]) -> int:
        """Return the name of the model that these windows give."""
        chosen = tuple(known) if self._training_windows is None else tuple(known)[-self._training_windows :]
        if chosen not in self._models:
            self._models[chosen] = len(self._trained)
            self._trained.append(self._fit(chosen))
        return self._models[chosen]

    def _fit(self, chosen: tuple[int, ...]) -> _Model:
        import pyarrow as pa

        tables = [self._tables[place] for place in chosen]
        if self._training_windows is None or not tables:
            tables = [self._initial, *tables]
        table = pa.concat_tables(tables, promote_options="permissive")
        self._log(f"Training on {table.num_rows} rows of {len(tables)} tables")
        settings = self._settings
        trained = train(table, target=self._target, candidates=self._candidates, settings=settings, log=lambda _: None)
        features = trained.prepared.table.select(list(trained.prepared.features.kinds))
        return _Model(trained=trained, profile=profile_table(features), features=features)

    def score(self, model: int, window: int) -> Score:
        """Return how a model did, against what the first one was worth when it was new."""

        def look() -> Score:
            value = self._value(model, window)
            standard = self._standard(self.train(()))
            change = self._change(value, standard)
            return Score(value=value.value, degraded=change.is_drop)

        return self._once("score", model, window, look)

    def watch(self, model: int, window: int) -> Sequence[Check]:
        """Return the drift check, and the estimate where one can be made."""
        return self._once("watch", model, window, lambda: tuple(self._watched(model, window)))

    def judge(self, model: int, window: int) -> Check:
        """Return the performance check, against the model's own held-out rows."""

        def look() -> Check:
            value = self._value(model, window)
            enough = value.n_rows >= self._performance.min_labelled_rows
            change = self._change(value, self._standard(model))
            verdict = "insufficient_data" if not enough else "drop" if change.is_drop else "no_drop"
            end = self._windows[window].end
            return Check(
                kind="performance",
                window_end=end,
                verdict=verdict,
                labelled_rows=value.n_rows,
                suspected=enough and change.suspected,
            )

        return self._once("judge", model, window, look)

    def _watched(self, model: int, window: int) -> list[Check]:
        one, end = self._trained[model], self._windows[window].end
        importances = {name: max(pair[0], 0.0) for name, pair in one.trained.importances.items()}
        current = profile_table(self._tables[window].select(one.features.column_names), grids=one.profile.grids)
        drift = decide_drift(one.profile, current, self._drift, importances=importances)
        checks = [Check(kind="drift", window_end=end, verdict=drift.verdict)]
        said, reference = self._said(model, window), one.trained.predictions
        metric = self._estimate.metric or self.metric
        if said.probabilities is None or metric not in estimable(said.task):
            return checks
        scored = Scored(labels=said.labels, predicted=said.predicted, probabilities=said.probabilities)
        found = decide_estimate(reference, scored, self._estimate, metric=metric)
        return [*checks, Check(kind="estimate", window_end=end, verdict=found.verdict)]

    def _said(self, model: int, window: int) -> Predictions:
        def look() -> Predictions:
            trained, table = self._trained[model].trained, self._tables[window]
            target = trained.prepared.target
            values = read_target(table.column(self._target), name=self._target, task=target.task).values
            return predict(
                trained.model,
                to_frame(table, kinds=trained.prepared.features.kinds),
                values,
                task=target.task,
                classes=target.classes,
                target=self._target,
            )

        return self._once("said", model, window, look)

    def _value(self, model: int, window: int) -> MetricValue:
        return self._once(
            "value", model, window, lambda: value_of(self._said(model, window), self.metric, self._performance)
        )

    def _standard(self, model: int) -> MetricValue:
        trained = self._trained[model].trained
        return self._once("standard", model, 0, lambda: value_of(trained.predictions, self.metric, self._performance))

    def _change(self, value: MetricValue, reference: MetricValue) -> MetricChange:
        floor = self._performance.floor(self.metric, reference.value)
        return metric_change(value, reference, floor=floor, confidence=self._performance.confidence)

    def _once(self, what: str, model: int, window: int, look: Callable[[], _Found]) -> _Found:
        key = (what, model, window)
        if key not in self._seen:
            self._seen[key] = look()
        found: _Found = self._seen[key]
        return found


class _Model:
    """A trained model and the profile of what it learned from."""

    def __init__(self, *, trained: Trained, profile: DatasetProfile, features: pa.Table) -> None:
        self.trained, self.profile, self.features = trained, profile, features


def check_rows(tables: Mapping[str, pa.Table], *, target: str) -> None:
    """Refuse windows without rows or without the target.

    Raises
    ------
    InputError
        A table lacks what a backtest needs; the message says which.
    """
    for name, one in tables.items():
        if target not in one.column_names:
            raise InputError(f"The window {name} has no column {target!r}, without which nothing can be judged.")
        if one.num_rows == 0 or one.column(target).null_count:
            raise InputError(
                f"The window {name} must have rows with labels, known in hindsight; it has {one.num_rows} rows, "
                f"{one.column(target).null_count} of them without."
            )
