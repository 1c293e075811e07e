"""Brings metrics and intervals together: the value and interval of one metric for one model, or for a pair of models.

It must never check its input; ``performance`` has done so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_mlops_provider.core import bootstrap, intervals, ranking
from airflow_mlops_provider.core.bootstrap import Units
from airflow_mlops_provider.core.intervals import Interval
from airflow_mlops_provider.core.metric_sums import confusion_contributions
from airflow_mlops_provider.core.metrics import CountMetric, Metric, RankingMetric, SumMetric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.predictions import Predictions

    Floats = NDArray[np.float64]

# Relative error of sums over many rows, with room to spare.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How intervals are made: see :func:`~airflow_mlops_provider.core.performance.evaluate`."""

    confidence: float
    n_resamples: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its interval and how that was made."""

    value: float
    interval: Interval
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The values of both models and the interval of challenger minus champion."""

    challenger: float
    champion: float
    interval: Interval
    method: str

    @property
    def rounding(self) -> float:
        """What is no difference: a model like another must not differ by 1e-17 in its favour."""
        return _ROUNDING * max(abs(self.challenger), abs(self.champion))

    @property
    def gap(self) -> float:
        """Challenger minus champion."""
        gap = self.challenger - self.champion
        return 0.0 if abs(gap) <= self.rounding else gap


def estimate(metrics: Sequence[Metric], predictions: Predictions, settings: Settings) -> dict[str, Estimate]:
    """Compute metrics of one model; those of per-row sums share one set of resamples."""
    results = _estimate_sums([metric for metric in metrics if isinstance(metric, SumMetric)], predictions, settings)
    for metric in metrics:
        if isinstance(metric, RankingMetric):
            results[metric.name] = _estimate_ranking(metric, predictions, settings.confidence)
        elif isinstance(metric, CountMetric):
            results[metric.name] = _estimate_counts(metric, predictions, settings)
    return results


def difference(metric: Metric, challenger: Predictions, champion: Predictions, settings: Settings) -> Difference:
    """Compute one metric of two models on the same rows, and the interval of its difference."""
    import numpy as np

    if isinstance(metric, RankingMetric):
        found = _ranking_difference(metric, challenger, champion, settings.confidence)
    elif isinstance(metric, CountMetric):
        units = _cells(challenger, champion)
        found = _sums_difference(metric, units, settings)
    elif isinstance(metric, SumMetric):
        parts = [metric.contributions(model) for model in (challenger, champion)]
        units = bootstrap.in_blocks(np.hstack(parts), seed=settings.seed)
        found = _sums_difference(metric, units, settings)
    lower, upper = _rounded(found)
    if lower == upper != 0:
        # Every row speaks for the same model, which few rows do by chance: no spread is no certainty.
        return _combined(metric, challenger, champion, settings)
    return replace(found, interval=(lower, upper))


def _rounded(found: Difference) -> Interval:
    lower, upper = (0.0 if abs(bound) <= found.rounding else bound for bound in found.interval)
    return (lower, lower) if upper - lower <= found.rounding else (lower, upper)


def _ranked(metric: RankingMetric, predictions: Predictions) -> ranking.Ranked:
    scores = predictions.class_scores()
    classes = (1,) if predictions.task == "binary" else range(len(predictions.labels))
    return ranking.macro([metric.ranked(predictions.y_true == k, scores[:, k]) for k in classes])


def _ranking_variance(influence: Floats, predictions: Predictions) -> float:
    return ranking.variance(influence, predictions.y_true, len(predictions.labels))


def _estimate_ranking(metric: RankingMetric, predictions: Predictions, confidence: float) -> Estimate:
    ranked = _ranked(metric, predictions)
    variance = _ranking_variance(ranked.influence, predictions)
    if variance > 0 and 0 < ranked.value < 1:
        interval = intervals.logit_normal(ranked.value, variance, confidence=confidence)
        method = "delong_logit" if metric.name == "roc_auc" else "influence_logit"
        return Estimate(value=ranked.value, interval=interval, method=method)
    counts = list(predictions.class_counts().values())
    if metric.name == "average_precision":
        interval = intervals.wilson(ranked.value * counts[1], counts[1], confidence=confidence)
        return Estimate(value=ranked.value, interval=interval, method="wilson")
    bounds = [
        intervals.roc_area_score(ranked.value, count, predictions.n_rows - count, confidence=confidence)
        for count in (counts[1:] if predictions.task == "binary" else counts)
    ]
    lower, upper = (sum(side) / len(bounds) for side in zip(*bounds, strict=True))
    return Estimate(value=ranked.value, interval=(lower, upper), method="newcombe_score")


def _cells(first: Predictions, second: Predictions | None = None) -> Units:
    """Count the rows by true class and predicted class of one model, or of two."""
    import numpy as np

    models = [first] if second is None else [first, second]
    k = len(first.labels)
    code = first.y_true
    for model in models:
        code = code * k + model.predicted
    _, where, counts = np.unique(code, return_index=True, return_counts=True)
    parts = [confusion_contributions(first.y_true[where], model.predicted[where], k) for model in models]
    return Units(contributions=np.hstack(parts), counts=counts)


def _estimate_counts(metric: CountMetric, predictions: Predictions, settings: Settings) -> Estimate:
    units = _cells(predictions)
    value = float(metric.of_sums(units.total))
    hits, true, predicted = units.total.reshape(3, -1)
    confidence = settings.confidence
    match metric.name:
        case "accuracy":
            interval, method = intervals.wilson(hits.sum(), true.sum(), confidence=confidence), "wilson"
        case "precision":
            interval, method = intervals.wilson(hits[1], predicted[1], confidence=confidence), "wilson"
        case "recall":
            interval, method = intervals.wilson(hits[1], true[1], confidence=confidence), "wilson"
        case "f1":
            interval = intervals.f1_from_counts(hits[1], true[1] + predicted[1] - hits[1], confidence=confidence)
            method = "wilson_indirect"
        case "balanced_accuracy" | "recall_macro":
            interval, method = intervals.mean_of_proportions(hits, true, confidence=confidence), "mover_wilson"
        case "precision_macro":
            interval, method = intervals.mean_of_proportions(hits, predicted, confidence=confidence), "mover_wilson"
        case _:
            return _estimate_f1_macro(metric, units, value, settings)
    return Estimate(value=value, interval=interval, method=method)


def _estimate_f1_macro(metric: CountMetric, units: Units, value: float, settings: Settings) -> Estimate:
    interval = _bootstrap(units, metric.of_sums, metric.name, settings)
    if interval[0] < interval[1]:
        return Estimate(value=value, interval=interval, method="bca_bootstrap")
    hits, true, predicted = units.total.reshape(3, -1)
    bounds = [
        intervals.f1_from_counts(h, union, confidence=settings.confidence)
        for h, union in zip(hits, true + predicted - hits, strict=True)
    ]
    lower, upper = (sum(side) / len(bounds) for side in zip(*bounds, strict=True))
    return Estimate(value=value, interval=(lower, upper), method="wilson_indirect")


def _bootstrap(units: Units, statistic: Callable[[Floats], Floats], name: str, settings: Settings) -> Interval:
    resampled = bootstrap.bootstrap_sums(units, n_resamples=settings.n_resamples, seed=settings.seed)
    return bootstrap.bca(units, resampled, statistic, confidence=settings.confidence, name=name)


def _on_columns(statistic: Callable[[Floats], Floats], start: int, stop: int) -> Callable[[Floats], Floats]:
    return lambda sums: statistic(sums[..., start:stop])


def _estimate_sums(metrics: list[SumMetric], predictions: Predictions, settings: Settings) -> dict[str, Estimate]:
    import numpy as np

    if not metrics:
        return {}
    parts = [metric.contributions(predictions) for metric in metrics]
    units = bootstrap.in_blocks(np.hstack(parts), seed=settings.seed)
    resampled = bootstrap.bootstrap_sums(units, n_resamples=settings.n_resamples, seed=settings.seed)
    results, start = {}, 0
    for metric, part in zip(metrics, parts, strict=True):
        columns = slice(start, start := start + part.shape[1])
        own = Units(contributions=units.contributions[:, columns], counts=units.counts)
        sums, confidence = resampled[:, columns], settings.confidence
        if metric.is_norm:
            interval = bootstrap.norm_interval(own, sums, metric.of_sums, confidence=confidence)
        else:
            interval = bootstrap.bca(own, sums, metric.of_sums, confidence=confidence, name=metric.name)
        results[metric.name] = Estimate(
            value=float(metric.of_sums(own.total)),
            interval=interval,
            method="norm_bootstrap" if metric.is_norm else "bca_bootstrap",
        )
    return results


def _ranking_difference(
    metric: RankingMetric, challenger: Predictions, champion: Predictions, confidence: float
) -> Difference:
    a, b = _ranked(metric, challenger), _ranked(metric, champion)
    variance = _ranking_variance(a.influence - b.influence, challenger)
    half = intervals.normal_quantile(confidence) * variance**0.5
    return Difference(
        challenger=a.value,
        champion=b.value,
        interval=(a.value - b.value - half, a.value - b.value + half),
        method="paired_delong" if metric.name == "roc_auc" else "paired_influence",
    )


def _sums_difference(metric: CountMetric | SumMetric, units: Units, settings: Settings) -> Difference:
    half = units.contributions.shape[1] // 2
    first, second = _on_columns(metric.of_sums, 0, half), _on_columns(metric.of_sums, half, 2 * half)
    interval = _bootstrap(units, lambda sums: first(sums) - second(sums), metric.name, settings)
    return Difference(
        challenger=float(first(units.total)),
        champion=float(second(units.total)),
        interval=interval,
        method="paired_bca_bootstrap",
    )


def _combined(metric: Metric, challenger: Predictions, champion: Predictions, settings: Settings) -> Difference:
    """Combine the two single intervals as if independent, which is wide for models that err together."""
    a, b = (estimate([metric], model, settings)[metric.name] for model in (challenger, champion))
    gap = a.value - b.value
    below = ((a.value - a.interval[0]) ** 2 + (b.interval[1] - b.value) ** 2) ** 0.5
    above = ((a.interval[1] - a.value) ** 2 + (b.value - b.interval[0]) ** 2) ** 0.5
    return Difference(challenger=a.value, champion=b.value, interval=(gap - below, gap + above), method="mover")
