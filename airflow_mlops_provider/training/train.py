"""The whole of training on one table in memory: rows to sides, candidates to one model, model to held-out evidence.

Held-out rows are used once, for the final metrics and the importances; nothing is chosen by them. This module knows
nothing of where rows come from or where models go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import default_metric, find
from airflow_mlops_provider.core.performance import MetricValue, evaluate
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.row_set import RowSet
from airflow_mlops_provider.core.specs import Candidate, TrainSettings
from airflow_mlops_provider.training.baseline import Baseline
from airflow_mlops_provider.training.columns import Features, choose_features, to_frame
from airflow_mlops_provider.training.estimators import MAX_ONE_HOT, build_pipeline
from airflow_mlops_provider.training.fit import (
    CandidateResult,
    Log,
    Scorer,
    choose,
    model_digest,
    permutation_importances,
)
from airflow_mlops_provider.training.predict import predict
from airflow_mlops_provider.training.split import fold_indices, holdout_mask, identity_columns
from airflow_mlops_provider.training.target import Target, encode, read_target

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Rows on their sides, ready to fit.

    Parameters
    ----------
    table : pyarrow.Table
        Training rows with all columns.
    rows, holdout_rows : pandas.DataFrame
        Features of the training and held-out rows.
    target : Target
        Of the training rows.
    holdout_values : array, shape (n_holdout,)
        True values of the held-out rows.
    features : Features
        What the model sees.
    target_name : str
        Column it was read from.
    metric : str
        What decides.
    identity_columns : tuple of str
        Columns whose hash identifies a row.
    training_rows : RowSet
        Hashes of the training rows.
    """

    table: pa.Table
    rows: pd.DataFrame
    holdout_rows: pd.DataFrame
    target: Target
    holdout_values: np.ndarray
    features: Features
    target_name: str
    metric: str
    identity_columns: tuple[str, ...]
    training_rows: RowSet

    @property
    def codes(self) -> np.ndarray | None:
        """Class codes of the training rows, None for regression."""
        if self.target.task == "regression":
            return None
        return encode(self.target.values, classes=self.target.classes, name=self.target_name)


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


def prepare(table: pa.Table, *, target: str, settings: TrainSettings) -> Prepared:
    """Put rows on their sides and decide features, task and metric.

    Parameters
    ----------
    table : pyarrow.Table
        All rows. Their order does not matter.
    target : str
        Column to predict.
    settings : TrainSettings
        See there.

    Raises
    ------
    InputError
        Nothing can be learned from this table with these settings; the message says why.
    """
    import numpy as np

    if target not in table.column_names:
        raise InputError(
            f"Target {target!r} is not in the data. Hint: the columns are {', '.join(table.column_names)}."
        )
    read = read_target(table.column(target), name=target, task=settings.task, positive_class=settings.positive_class)
    metric = settings.metric or default_metric(read.task)
    find(metric, task=read.task)
    identity = identity_columns(table, settings.split)
    hashes = hash_rows(table, columns=identity)
    # One order for any order of the file: everything below depends on the rows only.
    order = np.lexsort((hash_rows(table, columns=sorted(table.column_names)), hashes))
    table, hashes, values = table.take(order), hashes[order], read.values[order]
    codes = None if read.task == "regression" else encode(values, classes=read.classes, name=target)
    held = holdout_mask(table, split=settings.split, row_hashes=hashes, codes=codes, seed=settings.seed)
    _require_classes(read, codes, held, target)
    training = table.filter(~held)
    features = choose_features(training, target=target, features=settings.features, drop=settings.drop_columns)
    return Prepared(
        table=training,
        rows=to_frame(training, kinds=features.kinds),
        holdout_rows=to_frame(table.filter(held), kinds=features.kinds),
        target=Target(task=read.task, values=values[~held], classes=read.classes),
        holdout_values=values[held],
        features=features,
        target_name=target,
        metric=metric,
        identity_columns=tuple(identity),
        training_rows=RowSet.of(hashes[~held]),
    )


def _require_classes(target: Target, codes: np.ndarray | None, held: np.ndarray, name: str) -> None:
    import numpy as np

    if codes is None:
        return
    for side, mask in (("training", ~held), ("held-out", held)):
        counts = np.bincount(codes[mask], minlength=len(target.classes))
        if (counts == 0).any():
            raise InputError(
                f"The {side} rows lack classes of target {name!r}: "
                f"{dict(zip(target.labels, counts.tolist(), strict=True))} rows each. "
                "Hint: more data, a greater holdout_share, or split method 'stratified'."
            )


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
        What comes back is no fitted scikit-learn estimator.
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
        raise InputError(f"{result.name} has no metric {prepared.metric!r}: it gives no class probabilities.")
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
