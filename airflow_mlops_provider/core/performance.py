"""How well a model did on rows whose truth is known: metrics with intervals, and two models on the same rows.

It must never return a value that is not a finite number: what a metric needs and the rows lack is an error that says
which classes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core import uncertainty
from airflow_mlops_provider.core.bootstrap import check_finite
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import Metric, check_defined, find, supported

if TYPE_CHECKING:
    from airflow_mlops_provider.core.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """A metric of one model with its confidence interval.

    Parameters
    ----------
    name : str
        The metric.
    value : float
        As scikit-learn computes it.
    lower, upper : float
        Bounds of the two-sided interval.
    confidence : float
        Its nominal coverage.
    n_rows : int
        Rows it was computed from.
    method : str
        How the interval was made; see :func:`evaluate`.
    greater_is_better : bool
        Direction of the metric.
    """

    name: str
    value: float
    lower: float
    upper: float
    confidence: float
    n_rows: int
    method: str
    greater_is_better: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDifference:
    """How much better the challenger is than the champion, with the interval of the paired difference.

    Parameters
    ----------
    metric : str
        The metric.
    challenger, champion : float
        Its values.
    difference : float
        Positive where the challenger is better: challenger minus champion, or the reverse for an error metric.
    lower, upper : float
        Bounds of the two-sided interval of `difference`.
    confidence : float
        Its nominal coverage.
    n_rows : int
        Rows both were computed from.
    method : str
        How the interval was made; see :func:`compare`.
    """

    metric: str
    challenger: float
    champion: float
    difference: float
    lower: float
    upper: float
    confidence: float
    n_rows: int
    method: str

    def describe(self, *, against: str) -> str:
        """Say it in half a sentence for people; `against` is what the second model is called."""
        return (
            f"{self.metric} {self.challenger:.4f} against the {against}'s {self.champion:.4f}: better by "
            f"{self.difference:+.4f} [{self.lower:+.4f}, {self.upper:+.4f}] on {self.n_rows} rows"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


def evaluate(
    predictions: Predictions,
    *,
    metrics: Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, MetricValue]:
    """Compute metrics of one model with confidence intervals.

    Values are scikit-learn's. `precision` of a model that never predicts the positive class is 0, with the interval
    from 0 to 1. `roc_auc` of several classes is the unweighted mean over one class against the rest.
    `calibration_error` is ``sum_b |sum_{i in b} (y_i - p_i)| / n`` over 10 bins b of equal mass of the positive
    class's probability p; it is above 0 even for a calibrated model, by about ``sqrt(10 / n) / 3``.

    Intervals assume rows drawn independently. Their `method` is one of:

    - ``delong_logit``: DeLong's variance on the logit scale; ``newcombe_score`` where that variance is 0.
    - ``influence_logit``: the variance of the influence function on the logit scale (average precision); ``wilson`` on
      the positives where it is 0.
    - ``wilson``: the score interval of a proportion; ``wilson_indirect``: the same of TP / (TP + FP + FN), of which F1
      is a function [1]_; ``mover_wilson``: a mean of independent proportions.
    - ``bca_bootstrap``: the accelerated bootstrap over rows, or over 10,000 random blocks of them;
      ``norm_bootstrap``: its conservative form for `calibration_error`, which reaches 0 for a calibrated model.

    Parameters
    ----------
    predictions : Predictions
        Of the model.
    metrics : sequence of str, optional
        Names as in :func:`~airflow_mlops_provider.core.metrics.metric_names`; by default all that the model's kind of
        output allows.
    confidence : float, default 0.95
        In (0, 1), of the two-sided intervals.
    n_resamples : int, default 1000
        Bootstrap resamples, at least 100.
    seed : int, default 0
        Of the bootstrap; the same input and seed give the same result.

    Returns
    -------
    dict of str to MetricValue
        By name, in the order asked for.

    Raises
    ------
    InputError
        A metric is unknown, needs output that the model lacks, or is undefined on these rows.

    References
    ----------
    .. [1] K. F. Y. Lam, V. Gopal, J. Qian, Confidence intervals for the F1 score, arXiv:2309.14621.

    Examples
    --------
    >>> from airflow_mlops_provider.core.predictions import Predictions
    >>> right = Predictions(task="binary", labels=("no", "yes"), y_true=[0] * 5 + [1] * 5, predicted=[0] * 6 + [1] * 4)
    >>> accuracy = evaluate(right, metrics=["accuracy"])["accuracy"]
    >>> accuracy.value, round(accuracy.lower, 3), round(accuracy.upper, 3)
    (0.9, 0.596, 0.982)
    """
    settings = _settings(confidence, n_resamples, seed)
    names = supported(predictions) if metrics is None else list(metrics)
    chosen = [find(name, task=predictions.task) for name in names]
    for metric in chosen:
        check_defined(metric, predictions)
    with _quiet_overflow():
        results = uncertainty.estimate(chosen, predictions, settings)
    return {metric.name: _value(metric, results[metric.name], predictions.n_rows, confidence) for metric in chosen}


def compare(
    *,
    challenger: Predictions,
    champion: Predictions,
    metric: str,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> MetricDifference:
    """Compare two models by one metric on the same rows.

    The interval's `method` is ``paired_delong`` (the DeLong covariance, normal), ``paired_influence`` (average
    precision, the same from influence functions) or ``paired_bca_bootstrap`` (each resample of the rows serves both
    models). Where the rows show no spread at all, it is ``mover``: the two single intervals combined, which is wider.

    Parameters
    ----------
    challenger, champion : Predictions
        On the same rows in the same order.
    metric : str
        As in :func:`evaluate`.
    confidence, n_resamples, seed
        As in :func:`evaluate`.

    Returns
    -------
    MetricDifference
        Positive where the challenger is better, also for error metrics.

    Raises
    ------
    InputError
        The rows are not the same, or as in :func:`evaluate`.

    References
    ----------
    .. [1] E. R. DeLong et al., Biometrics 44 (1988) 837-845, equation 4.
    .. [2] B. Efron, JASA 82 (1987) 171-185, on pairs of predictions.
    .. [3] G. Y. Zou, A. Donner, Statistics in Medicine 27 (2008) 1693-1702, equation 4.
    """
    settings = _settings(confidence, n_resamples, seed)
    _check_same_rows(challenger, champion)
    found = find(metric, task=challenger.task)
    for predictions in (challenger, champion):
        check_defined(found, predictions)
    with _quiet_overflow():
        result = uncertainty.difference(found, challenger, champion, settings)
    lower, upper = result.interval
    difference = result.gap
    if not found.greater_is_better:
        # Added to 0, because -0.0 would read as a loss.
        difference, lower, upper = 0.0 - difference, 0.0 - upper, 0.0 - lower
    check_finite(metric, difference, lower, upper)
    return MetricDifference(
        metric=metric,
        challenger=result.challenger,
        champion=result.champion,
        difference=difference,
        lower=lower,
        upper=upper,
        confidence=confidence,
        n_rows=challenger.n_rows,
        method=result.method,
    )


def _settings(confidence: float, n_resamples: int, seed: int) -> uncertainty.Settings:
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1; got {confidence!r}. Hint: 0.95 for 95 %.")
    if n_resamples < 100:
        raise InputError(f"n_resamples must be at least 100 for an interval; got {n_resamples!r}.")
    return uncertainty.Settings(confidence=confidence, n_resamples=n_resamples, seed=seed)


def _quiet_overflow() -> AbstractContextManager[None]:
    """Silence the warnings of values too large to square: the result that is not finite is refused with its name."""
    import numpy as np

    return np.errstate(over="ignore", invalid="ignore")


def _check_same_rows(challenger: Predictions, champion: Predictions) -> None:
    import numpy as np

    if challenger.n_rows < 2:
        raise InputError("A paired comparison has no interval on 1 row. Hint: evaluate on more rows.")

    for name in ("task", "labels", "n_rows"):
        ours, theirs = getattr(challenger, name), getattr(champion, name)
        if ours != theirs:
            raise InputError(
                f"A paired comparison needs the same rows: {name} is {ours!r} for the challenger and "
                f"{theirs!r} for the champion. Hint: score both models on one table, with labels in one order."
            )
    if not np.array_equal(challenger.y_true, champion.y_true):
        row = int(np.flatnonzero(challenger.y_true != champion.y_true)[0])
        raise InputError(
            f"A paired comparison needs the same rows: y_true differs first at row {row} ({challenger.y_true[row]} for "
            f"the challenger, {champion.y_true[row]} for the champion)."
        )


def _value(metric: Metric, found: uncertainty.Estimate, n_rows: int, confidence: float) -> MetricValue:
    check_finite(metric.name, found.value, *found.interval)
    return MetricValue(
        name=metric.name,
        value=found.value,
        lower=found.interval[0],
        upper=found.interval[1],
        confidence=confidence,
        n_rows=n_rows,
        method=found.method,
        greater_is_better=metric.greater_is_better,
    )
