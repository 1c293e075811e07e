"""Metrics as functions of sums over rows: what each row adds, and the metric's formula on what was added up.

Every formula works on the last axis, so that it takes the sums of a thousand resamples at once; it must never warn
or raise where it is undefined, but give NaN, or 0 where scikit-learn's convention is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.predictions import Predictions

    Floats = NDArray[np.float64]

CALIBRATION_BINS = 10


def _ratio(part: Floats, whole: Floats, *, undefined: float) -> Floats:
    import numpy as np

    result = np.full(np.broadcast_shapes(part.shape, whole.shape), undefined)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _split_counts(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Hits, true and predicted rows of each class; see :func:`confusion_contributions`."""
    k = sums.shape[-1] // 3
    return sums[..., :k], sums[..., k : 2 * k], sums[..., 2 * k :]


def recalls(sums: Floats) -> Floats:
    """Share of each class's true rows that are predicted as it; NaN where it has none."""
    import numpy as np

    hits, true, _ = _split_counts(sums)
    return _ratio(hits, true, undefined=np.nan)


def precisions(sums: Floats) -> Floats:
    """Share of the rows predicted as each class that are it; 0 where none is predicted."""
    hits, _, predicted = _split_counts(sums)
    return _ratio(hits, predicted, undefined=0.0)


def f1s(sums: Floats) -> Floats:
    """Harmonic mean of precision and recall of each class; 0 where it is neither true nor predicted."""
    hits, true, predicted = _split_counts(sums)
    return _ratio(2 * hits, true + predicted, undefined=0.0)


def accuracy(sums: Floats) -> Floats:
    """Share of rows whose class is predicted."""
    hits, true, _ = _split_counts(sums)
    right: Floats = hits.sum(axis=-1) / true.sum(axis=-1)
    return right


def of_positive(shares: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Take the second class of a binary task."""
    return lambda sums: shares(sums)[..., 1]


def mean_over_classes(shares: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Take the unweighted mean over the classes."""
    return lambda sums: shares(sums).mean(axis=-1)


def confusion_contributions(true: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> Floats:
    """Give what a row of true and predicted class adds to the hits, true rows and predicted rows of each class."""
    import numpy as np

    one = np.eye(n_classes)
    return np.hstack([one[true] * (true == predicted)[:, None], one[true], one[predicted]])


def mean(sums: Floats) -> Floats:
    """Mean of the one contribution per row."""
    return sums[..., 1] / sums[..., 0]


def _with_count(*columns: Floats) -> Floats:
    import numpy as np

    return np.column_stack([np.ones(len(columns[0])), *columns])


def log_losses(predictions: Predictions) -> Floats:
    """Negative logarithm of the probability of the true class, clipped as scikit-learn clips it."""
    import numpy as np

    probabilities = predictions.require_probabilities()
    of_truth = probabilities[np.arange(len(probabilities)), predictions.y_true]
    epsilon = np.finfo(np.float64).eps
    return _with_count(-np.log(np.clip(of_truth, epsilon, 1 - epsilon)))


def squared_residuals(predictions: Predictions) -> Floats:
    """Squared distance of the positive class's probability from the truth."""
    return _with_count((predictions.require_probabilities()[:, 1] - predictions.y_true) ** 2)


def binned_residuals(predictions: Predictions) -> Floats:
    """One column per bin of equal mass: observed minus predicted for the rows in it; equal scores share a bin."""
    import numpy as np

    score = predictions.require_probabilities()[:, 1]
    edges = np.unique(np.quantile(score, np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS))
    bins = np.zeros((len(score), CALIBRATION_BINS))
    bins[np.arange(len(score)), np.searchsorted(edges, score, side="left")] = predictions.y_true - score
    return _with_count(bins)


def calibration_error(sums: Floats) -> Floats:
    """Mean over rows of the bins' absolute sums of residuals; see :func:`binned_residuals`."""
    import numpy as np

    error: Floats = np.abs(sums[..., 1:]).sum(axis=-1) / sums[..., 0]
    return error


def squared_errors(predictions: Predictions) -> Floats:
    """Squared error of each row."""
    return _with_count((predictions.predicted - predictions.y_true) ** 2)


def absolute_errors(predictions: Predictions) -> Floats:
    """Absolute error of each row."""
    return _with_count(abs(predictions.predicted - predictions.y_true))


def variance_terms(predictions: Predictions) -> Floats:
    """Give what R² needs: squared error, target and squared target."""
    # Centred, because the difference of two large sums of squares would lose the digits that matter.
    centred = predictions.y_true - predictions.y_true.mean()
    return _with_count((predictions.predicted - predictions.y_true) ** 2, centred, centred**2)


def r2(sums: Floats) -> Floats:
    """Share of the target's variance that the predictions explain; NaN where the target does not vary."""
    import numpy as np

    n, residual, first, second = (sums[..., i] for i in range(4))
    return 1 - _ratio(residual, second - first**2 / n, undefined=np.nan)


def rmse(sums: Floats) -> Floats:
    """Root of the mean squared error."""
    import numpy as np

    return np.sqrt(mean(sums))
