"""Metrics of how scores rank the rows, with what each row contributes to them; the source of their variances.

It must never loop over pairs of rows: everything comes from one sort of the scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranked:
    """A metric and its linearisation.

    Parameters
    ----------
    value : float
        The metric.
    influence : float array, shape (n,)
        How much each row moves the metric: the influence function over n, so that the metric's error is about the
        sum over the rows.
    """

    value: float
    influence: Floats


def roc_auc(positive: NDArray[np.bool_], scores: Floats) -> Ranked:
    """Area under the ROC curve of one class against the rest, with DeLong's structural components.

    A positive row's component is the share of negatives below it (ties half), a negative row's the share of
    positives above it.

    Parameters
    ----------
    positive : bool array, shape (n,)
        At least one row of each kind.
    scores : float array, shape (n,)
        Larger means more likely positive.

    References
    ----------
    .. [1] E. R. DeLong et al., Comparing the areas under two or more correlated receiver operating characteristic
       curves, Biometrics 44 (1988) 837-845.
    .. [2] X. Sun, W. Xu, Fast implementation of DeLong's algorithm, IEEE Signal Processing Letters 21 (2014) 1389-1393.
    """
    import numpy as np

    _, position = np.unique(scores, return_inverse=True)
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    positives = np.bincount(position, weights=positive)
    negatives = np.bincount(position) - positives
    negatives_below = np.cumsum(negatives) - negatives / 2
    positives_above = n_positive - np.cumsum(positives) + positives / 2
    component = np.where(positive, negatives_below[position] / n_negative, positives_above[position] / n_positive)
    value = float(component[positive].mean())
    influence = (component - value) / np.where(positive, n_positive, n_negative)
    return Ranked(value=value, influence=influence)


def average_precision(positive: NDArray[np.bool_], scores: Floats) -> Ranked:
    """Area under the precision-recall curve by steps: the mean, over positive rows, of the precision at their score.

    The influence of a row has two parts: its own precision, when it is positive, and what its presence does to the
    precision at each positive row's score that it reaches.

    Parameters
    ----------
    positive : bool array, shape (n,)
        At least one positive.
    scores : float array, shape (n,)
        Larger means more likely positive.

    References
    ----------
    .. [1] K. Boyd, K. H. Eng, C. D. Page, Area under the precision-recall curve: point estimates and confidence
       intervals, ECML PKDD 2013, section 4 (the logit interval this variance goes into).
    """
    import numpy as np

    _, position = np.unique(scores, return_inverse=True)
    n_positive = int(positive.sum())
    positives = np.bincount(position, weights=positive)
    reached = np.cumsum(np.bincount(position)[::-1])[::-1]
    precision = np.cumsum(positives[::-1])[::-1] / reached
    value = float(positives @ precision) / n_positive
    # Row j changes the precision at each threshold t <= its score by (y_j - precision_t) / reached_t.
    weight = positives / reached / n_positive
    indirect = positive * np.cumsum(weight)[position] - np.cumsum(weight * precision)[position]
    direct = positive * (precision[position] - value) / n_positive
    return Ranked(value=value, influence=direct + indirect)


def macro(parts: list[Ranked]) -> Ranked:
    """Unweighted mean of metrics on the same rows."""
    influence = sum((part.influence for part in parts[1:]), start=parts[0].influence)
    return Ranked(value=sum(part.value for part in parts) / len(parts), influence=influence / len(parts))


def variance(influence: Floats, codes: NDArray[np.int64], n_classes: int) -> float:
    """Variance of the metric whose rows have these influences.

    Within each class the unbiased sample variance, plus what the random class sizes add. For a ROC area of two
    classes this is DeLong's estimate exactly, because the components of each class centre on the area.

    Parameters
    ----------
    influence : float array, shape (n,)
        Of :class:`Ranked`, or the difference of two for a paired comparison.
    codes : int array, shape (n,)
        Class of each row; at least two rows of each class.
    n_classes : int
        Number of classes.
    """
    import numpy as np

    counts = np.bincount(codes, minlength=n_classes)
    means = np.bincount(codes, weights=influence, minlength=n_classes) / counts
    within = np.bincount(codes, weights=(influence - means[codes]) ** 2, minlength=n_classes) * counts / (counts - 1)
    return float(within.sum() + counts @ means**2)
