"""The table of metrics: which task each belongs to, which way is better, and what it is computed from.

The module must stay light at import, because gates look names up while DAG files are parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

from airflow_mlops_provider.core import metric_sums as sums
from airflow_mlops_provider.core import ranking
from airflow_mlops_provider.core.catalog import unknown
from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.predictions import Predictions
    from airflow_mlops_provider.core.specs import Task

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Parameters
    ----------
    name : str
        scikit-learn's name where it has one.
    tasks : tuple of str
        Where it is defined.
    greater_is_better : bool
        False for errors and losses.
    low, high : float
        Range of attainable values.
    needs : {"positives", "all_classes", "varying_target"}, optional
        What `y_true` must hold for the metric to be defined.
    probabilities : bool
        Whether it needs class probabilities.
    """

    name: str
    tasks: tuple[Task, ...]
    greater_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    needs: Literal["positives", "all_classes", "varying_target"] | None = None
    probabilities: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingMetric(Metric):
    """A metric of the order of scores, given class by class."""

    ranked: Callable[[NDArray[np.bool_], Floats], ranking.Ranked]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountMetric(Metric):
    """A metric of the confusion counts, from their sums, shape (..., 3 K), to the value, shape (...)."""

    of_sums: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class SumMetric(Metric):
    """A metric of per-row contributions, shape (n, sums), from their sums, shape (..., sums), to the value.

    The first sum is the number of rows. A norm of the other sums is biased upwards by their noise, so it needs
    :func:`~airflow_mlops_provider.core.bootstrap.norm_interval`.
    """

    contributions: Callable[[Predictions], Floats]
    of_sums: Callable[[Floats], Floats]
    is_norm: bool = False


_BINARY: tuple[Task, ...] = ("binary",)
_MULTICLASS: tuple[Task, ...] = ("multiclass",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_REGRESSION: tuple[Task, ...] = ("regression",)


def _count(
    name: str,
    tasks: tuple[Task, ...],
    of_sums: Callable[[Floats], Floats],
    needs: Literal["positives", "all_classes"] | None,
) -> CountMetric:
    return CountMetric(name=name, tasks=tasks, of_sums=of_sums, needs=needs)


def _loss(
    name: str,
    tasks: tuple[Task, ...],
    contributions: Callable[[Predictions], Floats],
    of_sums: Callable[[Floats], Floats],
    high: float = inf,
) -> SumMetric:
    return SumMetric(
        name=name,
        tasks=tasks,
        greater_is_better=False,
        high=high,
        probabilities="regression" not in tasks,
        contributions=contributions,
        of_sums=of_sums,
    )


# In the order in which reports show them; the first of a task is its default.
_TABLE: tuple[Metric, ...] = (
    RankingMetric(name="roc_auc", tasks=_CLASSES, needs="all_classes", ranked=ranking.roc_auc),
    RankingMetric(name="average_precision", tasks=_BINARY, needs="all_classes", ranked=ranking.average_precision),
    _count("accuracy", _CLASSES, sums.accuracy, None),
    _count("balanced_accuracy", _CLASSES, sums.mean_over_classes(sums.recalls), "all_classes"),
    _count("precision", _BINARY, sums.of_positive(sums.precisions), "positives"),
    _count("recall", _BINARY, sums.of_positive(sums.recalls), "positives"),
    _count("f1", _BINARY, sums.of_positive(sums.f1s), "positives"),
    _count("precision_macro", _MULTICLASS, sums.mean_over_classes(sums.precisions), "all_classes"),
    _count("recall_macro", _MULTICLASS, sums.mean_over_classes(sums.recalls), "all_classes"),
    _count("f1_macro", _MULTICLASS, sums.mean_over_classes(sums.f1s), "all_classes"),
    _loss("log_loss", _CLASSES, sums.log_losses, sums.mean),
    _loss("brier_score", _BINARY, sums.squared_residuals, sums.mean, high=1.0),
    SumMetric(
        name="calibration_error",
        tasks=_BINARY,
        greater_is_better=False,
        needs="all_classes",
        probabilities=True,
        contributions=sums.binned_residuals,
        of_sums=sums.calibration_error,
        is_norm=True,
    ),
    _loss("rmse", _REGRESSION, sums.squared_errors, sums.rmse),
    _loss("mae", _REGRESSION, sums.absolute_errors, sums.mean),
    SumMetric(
        name="r2",
        tasks=_REGRESSION,
        low=-inf,
        needs="varying_target",
        contributions=sums.variance_terms,
        of_sums=sums.r2,
    ),
)

METRICS = {metric.name: metric for metric in _TABLE}


def metric_names(task: Task) -> tuple[str, ...]:
    """List the metrics of a task, its default first.

    Examples
    --------
    >>> metric_names("regression")
    ('rmse', 'mae', 'r2')
    """
    return tuple(metric.name for metric in _TABLE if task in metric.tasks)


def default_metric(task: Task) -> str:
    """Name the metric that decides when the user names none: ROC AUC for classes, RMSE for regression."""
    return metric_names(task)[0]


def find(name: str, *, task: Task | None = None) -> Metric:
    """Look a metric up by its name.

    Raises
    ------
    InputError
        There is no such metric, or not for this task; the message lists those there are.
    """
    known = tuple(METRICS) if task is None else metric_names(task)
    if name not in known:
        raise unknown(f"{task} metric" if task else "metric", name, known)
    return METRICS[name]


def greater_is_better(metric: str) -> bool:
    """Say whether larger values of the metric are better.

    Examples
    --------
    >>> greater_is_better("roc_auc"), greater_is_better("rmse")
    (True, False)
    """
    return find(metric).greater_is_better


def supported(predictions: Predictions) -> list[str]:
    """List the metrics of the task that the model's kind of output allows."""
    found = [find(name) for name in metric_names(predictions.task)]
    ranks = predictions.probabilities is not None or predictions.margins is not None
    return [
        metric.name
        for metric in found
        if (predictions.probabilities is not None or not metric.probabilities)
        and (ranks or not isinstance(metric, RankingMetric))
    ]


def check_defined(metric: Metric, predictions: Predictions) -> None:
    """Raise :class:`InputError` when the metric is undefined on these rows."""
    counts = predictions.class_counts()
    # A variance within each class needs two rows of it.
    least = 2 if isinstance(metric, RankingMetric) else 1
    needed = {"all_classes": list(counts), "positives": list(counts)[1:]}.get(metric.needs or "", [])
    lacking = [label for label in needed if counts[label] < least]
    if lacking:
        raise InputError(
            f"{metric.name} is undefined on these {predictions.n_rows} rows: it needs at least {least} of class "
            f"{lacking[0]!r}; rows by class: {counts}. Hint: evaluate on more rows, or split stratified by the target."
        )
    if isinstance(metric, SumMetric) and predictions.n_rows < 2:
        raise InputError(f"{metric.name} has no interval on 1 row. Hint: evaluate on more rows.")
    if metric.needs == "varying_target" and predictions.y_true.min() == predictions.y_true.max():
        raise InputError(
            f"{metric.name} is undefined on these {predictions.n_rows} rows: the target is {predictions.y_true[0]} in "
            "all of them. Hint: use rmse, or evaluate on rows whose target varies."
        )
