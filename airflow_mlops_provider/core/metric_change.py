"""One metric of one version on two samples of rows: what it was worth on held-out rows, and what it is worth since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.intervals import normal_quantile
from airflow_mlops_provider.core.metrics import metric_names
from airflow_mlops_provider.core.performance import MetricValue, evaluate
from airflow_mlops_provider.core.performance_report import MetricChange
from airflow_mlops_provider.core.specs import Task

if TYPE_CHECKING:
    from airflow_mlops_provider.core.performance_policy import PerformancePolicy
    from airflow_mlops_provider.core.predictions import Predictions

# One-sided confidence from which a drop is suspected. With drift in the same window, which is evidence of another kind,
# suspicion is enough to act on.
SUSPICION = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What a version was worth on its held-out rows.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        Kind of prediction.
    metric : str
        What decided in training.
    values : mapping of str to MetricValue
        By metric.
    """

    task: Task
    metric: str
    values: Mapping[str, MetricValue]

    def of(self, metric: str) -> MetricValue:
        """Return the value of one metric, or raise :class:`InputError` when the version does not carry it."""
        if metric not in self.values:
            known = [name for name in metric_names(self.task) if name in self.values]
            raise InputError(
                f"The version carries no value of {metric!r} on its held-out rows. Hint: it has {', '.join(known)}."
            )
        return self.values[metric]


def metric_change(
    value: MetricValue, reference: MetricValue, *, floor: float, confidence: float, comparisons: int = 1
) -> MetricChange:
    """Compare one metric on two independent samples.

    The interval of the difference combines those of the values (MOVER): ``d - sqrt((a - l_a)**2 + (u_b - b)**2)`` and
    ``d + sqrt((u_a - a)**2 + (b - l_b)**2)`` for ``d = a - b`` [1]_. It keeps the asymmetry of the single intervals,
    and reaches no further than they do in a sample without spread.

    Parameters
    ----------
    value, reference : MetricValue
        Of the same metric; their intervals may be of other confidences and are scaled by the normal quantile.
    floor : float
        The least drop that matters.
    confidence : float
        Of the interval, two-sided.
    comparisons : int, default 1
        How many such intervals shall hold at once (Bonferroni).

    References
    ----------
    .. [1] G. Y. Zou, A. Donner, Construction of confidence limits about effect measures: a general approach,
       Statistics in Medicine 27 (2008) 1693-1702, equation 4.

    Examples
    --------
    >>> now = MetricValue(name="accuracy", value=0.80, lower=0.77, upper=0.83, confidence=0.95, n_rows=680,
    ...     method="wilson", greater_is_better=True)
    >>> before = MetricValue(name="accuracy", value=0.85, lower=0.81, upper=0.89, confidence=0.95, n_rows=300,
    ...     method="wilson", greater_is_better=True)
    >>> found = metric_change(now, before, floor=0.02, confidence=0.95)
    >>> round(found.lower, 3), round(found.upper, 3)
    (-0.1, 0.0)
    """
    quantile = normal_quantile(1 - (1 - confidence) / comparisons)
    below, above = _reach(value, quantile)
    reference_below, reference_above = _reach(reference, quantile)
    if value.greater_is_better:
        difference = value.value - reference.value
        down, up = (below**2 + reference_above**2) ** 0.5, (above**2 + reference_below**2) ** 0.5
    else:
        difference = reference.value - value.value
        down, up = (above**2 + reference_below**2) ** 0.5, (below**2 + reference_above**2) ** 0.5
    # A one-sided bound of 90 % is the upper one of a two-sided interval of 80 %.
    suspected_to = difference + up * normal_quantile(2 * SUSPICION - 1) / quantile
    return MetricChange(
        value=value,
        reference=reference,
        difference=difference,
        lower=difference - down,
        upper=difference + up,
        floor=floor,
        suspected=suspected_to < 0 and difference <= -floor,
    )


def _reach(one: MetricValue, quantile: float) -> tuple[float, float]:
    """Return how far the interval reaches below and above the value, at another quantile."""
    scale = quantile / normal_quantile(one.confidence)
    # A bootstrap interval may lie beside its value.
    return max(one.value - one.lower, 0.0) * scale, max(one.upper - one.value, 0.0) * scale


def value_of(predictions: Predictions, metric: str, policy: PerformancePolicy) -> MetricValue:
    """Evaluate one metric with the interval that a policy asks for."""
    return evaluate(predictions, metrics=[metric], confidence=policy.confidence, seed=policy.seed)[metric]
