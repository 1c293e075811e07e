"""The whole of training on one table in memory: rows to sides, candidates to one model, model to held-out evidence.

Held-out rows are used once, for the final metrics and the importances; nothing is chosen by them. This module knows
nothing of where rows come from or where models go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance import MetricValue, evaluate
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.specs import Candidate, TrainSettings
from airflow_mlops_provider.training.baseline import Baseline
from airflow_mlops_provider.training.estimators import MAX_ONE_HOT, build_pipeline, require_task
from airflow_mlops_provider.training.fit import CandidateResult, Log, choose, model_digest
from airflow_mlops_provider.training.importances import permutation_importances
from airflow_mlops_provider.training.predict import predict
from airflow_mlops_provider.training.prepare import Prepared, prepare
from airflow_mlops_provider.training.scorer import Scorer
from airflow_mlops_provider.training.split import fold_indices

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted model and what is known of it.

    Parameters
    ----------
    model : fitted estimator
        Takes the columns of ``prepared.features``.
    prepared : Prepared
        What it was fitted on.
    result : CandidateResult
        The winner.
    results : sequence of CandidateResult
        All candidates.
    predictions, baseline_predictions : Predictions
        On the held-out rows.
    metrics, baseline_metrics : dict of str to MetricValue
        On the held-out rows.
    baseline : Baseline
        The constant prediction.
    importances : dict of str to (mean, standard deviation)
        By permutation on held-out rows.
    digest : str
        Identity of the fitted model.
    """

    model: Any
    prepared: Prepared
    result: CandidateResult
    results: Sequence[CandidateResult]
    predictions: Predictions
    baseline_predictions: Predictions
    metrics: dict[str, MetricValue]
    baseline_metrics: dict[str, MetricValue]
    baseline: Baseline
    importances: dict[str, tuple[float, float]]
    digest: str


def train(
    table: pa.Table, *, target: str, candidates: Sequence[Candidate], settings: TrainSettings, log: Log
) -> Trained:
    """Train the best of some candidates.

    Parameters
    ----------
    table : pyarrow.Table
        All rows; which are held out is part of `settings`.
    target : str
        Column to predict.
    candidates : sequence of Candidate
        At least one.
    settings : TrainSettings
        Split, folds, seed…
    log : callable
        Told of each step.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        See :func:`prepare` and :func:`airflow_mlops_provider.training.fit.choose`.
    """
    prepared = prepare(table, target=target, settings=settings)
    _tell(prepared, log)
    folds = (
        fold_indices(
            task=prepared.target.task,
            split=settings.split,
            table=prepared.table,
            codes=prepared.codes,
            labels=prepared.target.labels,
            folds=settings.folds,
            seed=settings.seed,
        )
        if settings.folds
        else []
    )
    high_cardinality = frozenset(
        name for name in prepared.features.of_kind("categorical") if prepared.rows[name].nunique() > MAX_ONE_HOT
    )

    def build(candidate: Candidate) -> Any:
        return build_pipeline(
            candidate,
            features=prepared.features,
            high_cardinality=high_cardinality,
            task=prepared.target.task,
            seed=settings.seed,
            class_weight=settings.class_weight,
            preprocessing=settings.preprocessing,
        )

    for candidate in candidates:
        build(candidate)  # a wrong import path should not cost the fits before it
    model, result, results = choose(
        candidates,
        build=build,
        rows=prepared.rows,
        scorer=_scorer(prepared),
        folds=folds,
        seed=settings.seed,
        log=log,
    )
    return judge(model, prepared=prepared, settings=settings, result=result, results=results, log=log)


def train_by(
    fit: Callable[[pd.DataFrame, np.ndarray], Any],
    table: pa.Table,
    *,
    target: str,
    name: str,
    settings: TrainSettings,
    log: Log,
) -> Trained:
    """Let a user's function fit the model on the training rows, and judge it like any other.

    Parameters
    ----------
    fit : callable
        From features and target of the training rows to a fitted estimator.
    table : pyarrow.Table
        All rows.
    target : str
        Column to predict.
    name : str
        What the model is called in the results.
    settings : TrainSettings
        ``folds``, ``class_weight`` and ``preprocessing`` have no meaning here.
    log : callable
        Told of each step.

    Raises
    ------
    InputError
        What comes back is no fitted scikit-learn estimator for the task, or cannot predict the held-out rows.
    """
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    prepared = prepare(table, target=target, settings=settings)
    _tell(prepared, log)
    model = fit(prepared.rows.copy(), prepared.target.values.copy())
    if not isinstance(model, BaseEstimator):
        raise InputError(f"{name} must return a fitted scikit-learn estimator; got {type(model).__name__}.")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InputError(f"{name} returned {type(model).__name__} unfitted. Hint: return model.fit(X, y).") from error
    require_task(model, task=prepared.target.task, label=name)
    try:
        model.predict(prepared.holdout_rows.head(1))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The model that {name} returned cannot predict held-out rows: {error} "
            "Hint: return a pipeline that holds every step from X to the prediction."
        ) from error
    result = CandidateResult(name=name, params=model.get_params(deep=False), fold_scores=(), seconds=0.0)
    return judge(model, prepared=prepared, settings=settings, result=result, results=[result], log=log)


def judge(
    model: Any,
    *,
    prepared: Prepared,
    settings: TrainSettings,
    result: CandidateResult,
    results: Sequence[CandidateResult],
    log: Log,
) -> Trained:
    """Measure a fitted model and the baseline on the held-out rows."""
    target = prepared.target
    predictions = predict(
        model,
        prepared.holdout_rows,
        prepared.holdout_values,
        task=target.task,
        classes=target.classes,
        target=prepared.target_name,
    )
    codes = prepared.codes
    baseline = Baseline.of(target.values if codes is None else codes, task=target.task)
    baseline_predictions = baseline.predict(predictions.y_true, labels=target.labels)
    metrics = evaluate(predictions, seed=settings.seed)
    if prepared.metric not in metrics:
        raise InputError(
            f"{result.name} has no metric {prepared.metric!r}, because its output allows none. "
            f"Hint: choose one of {', '.join(metrics)}."
        )
    value = metrics[prepared.metric]
    log(f"Held-out {value.name} {value.value:.4f} [{value.lower:.4f}, {value.upper:.4f}] on {value.n_rows} rows")
    return Trained(
        model=model,
        prepared=prepared,
        result=result,
        results=results,
        predictions=predictions,
        baseline_predictions=baseline_predictions,
        metrics=metrics,
        baseline_metrics=evaluate(baseline_predictions, seed=settings.seed),
        baseline=baseline,
        importances=permutation_importances(
            model,
            prepared.holdout_rows,
            prepared.holdout_values,
            scorer=_scorer(prepared),
            seed=settings.seed,
        ),
        digest=model_digest(model),
    )


def _scorer(prepared: Prepared) -> Scorer:
    return Scorer(metric=prepared.metric, target=prepared.target, target_name=prepared.target_name)


def _tell(prepared: Prepared, log: Log) -> None:
    log(
        f"{len(prepared.rows)} training rows, {len(prepared.holdout_rows)} held out, "
        f"{len(prepared.features.kinds)} features, task {prepared.target.task}, metric {prepared.metric}"
    )
    for name, reason in prepared.features.dropped.items():
        log(f"Column {name!r} is left out: {reason}")
