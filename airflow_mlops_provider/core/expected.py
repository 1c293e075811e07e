"""Metrics of rows whose truth is known only as probabilities; with certain truth they are scikit-learn's metrics.

Rows that look alike are counted together, so that the work does not grow with the rows of a binary task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.metrics import METRICS, CountMetric, metric_names
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.specs import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Of a binary task, distinct scores beyond this share cells of equal mass; a ROC area moves by less than 1e-6.
MAX_CELLS = 5_000


def estimable(task: Task) -> tuple[str, ...]:
    """List the metrics that have an expected value: all of a classifier's but the calibration error.

    Examples
    --------
    >>> estimable("multiclass")[:2], estimable("regression")
    (('roc_auc', 'accuracy'), ())
    """
    return () if task == "regression" else tuple(one for one in metric_names(task) if one != "calibration_error")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """What a classifier said about rows whose truth is not known.

    Parameters
    ----------
    labels : tuple of str, length K
        As of :class:`~airflow_mlops_provider.core.predictions.Predictions`.
    predicted : int array, shape (n,)
        Class codes.
    probabilities : float array, shape (n, K)
        Rows sum to 1.

    Raises
    ------
    InputError
        As of :class:`~airflow_mlops_provider.core.predictions.Predictions`.
    """

    labels: tuple[str, ...]
    predicted: NDArray[np.int64]
    probabilities: Floats

    def __post_init__(self) -> None:
        checked = Predictions(
            task=self.task,
            labels=self.labels,
            y_true=self.predicted,
            predicted=self.predicted,
            probabilities=self.probabilities,
        )
        object.__setattr__(self, "predicted", checked.predicted)
        object.__setattr__(self, "probabilities", checked.probabilities)

    @property
    def task(self) -> Task:
        """Kind of prediction."""
        return "binary" if len(self.labels) == 2 else "multiclass"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.predicted)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Rows that look alike, counted.

    Parameters
    ----------
    scores : float array, shape (m, K)
        Probabilities that the model gave.
    predicted : int array, shape (m,)
        Class codes that it predicted.
    rows : int array, shape (m,)
        Rows in each cell.
    true : int array, shape (m, K), or None
        How many of them are of each class, where that is known.
    """

    scores: Floats
    predicted: NDArray[np.int64]
    rows: NDArray[np.int64]
    true: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, given: Predictions | Scored) -> Cells:
        """Count rows."""
        import numpy as np

        assert given.probabilities is not None  # noqa: S101 - the caller's condition, told to the type checker
        n_classes = len(given.labels)
        place = np.arange(given.n_rows)
        if n_classes == 2:
            _, place = np.unique(_coarse(given.probabilities[:, 1]) * 2 + given.predicted, return_inverse=True)
        rows = np.bincount(place)
        sums = [np.bincount(place, weights=given.probabilities[:, code]) / rows for code in range(n_classes)]
        true = None
        if isinstance(given, Predictions):
            true = np.zeros((len(rows), n_classes), dtype=np.int64)
            np.add.at(true, (place, given.y_true), 1)
        predicted = np.zeros(len(rows), dtype=np.int64)
        predicted[place] = given.predicted
        return cls(scores=np.column_stack(sums), predicted=predicted, rows=rows, true=true)

    @property
    def task(self) -> Task:
        """Kind of prediction."""
        return "binary" if self.scores.shape[1] == 2 else "multiclass"

    @cached_property
    def ranked_classes(self) -> tuple[int, ...]:
        """Codes of the classes against whose rest rankings are judged: the positive one, or all of several."""
        return (1,) if self.task == "binary" else tuple(range(self.scores.shape[1]))

    @cached_property
    def order(self) -> dict[int, tuple[Floats, NDArray[Any]]]:
        """Of each ranked class the distinct scores, rising, and which of them each cell has."""
        import numpy as np

        return {code: np.unique(self.scores[:, code], return_inverse=True) for code in self.ranked_classes}

    @cached_property
    def losses(self) -> Floats:
        """Logarithmic loss of each cell if its rows were of each class."""
        import numpy as np

        epsilon = np.finfo(np.float64).eps
        loss: Floats = -np.log(np.clip(self.scores, epsilon, 1 - epsilon))
        return loss


def _coarse(scores: Floats) -> NDArray[np.int64]:
    """Give the scores numbers in rising order; of very many, neighbours share one."""
    import numpy as np

    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    if len(counts) <= MAX_CELLS:
        return place
    middle = np.cumsum(counts) - counts / 2
    numbers: NDArray[np.int64] = (middle * MAX_CELLS / len(scores)).astype(np.int64)[place]
    return numbers


def metrics_of(
    cells: Cells, *, rows: NDArray[Any], shares: Floats, names: Sequence[str], is_certain: bool
) -> dict[str, float]:
    """Compute metrics from the share of each cell's rows that are of each class.

    Counts are sums of shares: ``TP = sum of p over the rows predicted positive``, and so on; `precision` is then the
    exact expectation, and a ratio with a random denominator (recall, F1) the ratio of expectations. A ROC area is
    ``sum of p_i (1 - p_j) [s_i > s_j] / sum of p_i (1 - p_j)`` over pairs of different rows, ties half; average
    precision ``sum_i p_i (1 + sum of p_j over the other rows that reach s_i) / reach_i / sum_i p_i``.

    Parameters
    ----------
    cells : Cells
        What the model said.
    rows : array, shape (m,)
        Rows in each cell.
    shares : float array, shape (m, K)
        Of each class among them: probabilities, or with `is_certain` what is known.
    names : sequence of str
        Of :func:`estimable`.
    is_certain : bool
        Whether a cell's shares are counts of its rows rather than each row's probability.

    Returns
    -------
    dict of str to float
        NaN where undefined.
    """
    import numpy as np

    mass = rows[:, None] * shares
    doubt = np.zeros_like(mass) if is_certain else mass * (1 - shares)
    n_classes = mass.shape[1]
    own = mass[np.arange(len(mass)), cells.predicted]
    hits = np.bincount(cells.predicted, weights=own, minlength=n_classes)
    sums = np.concatenate([hits, mass.sum(axis=0), np.bincount(cells.predicted, weights=rows, minlength=n_classes)])
    found: dict[str, float] = {}
    for name in names:
        metric = METRICS[name]
        if isinstance(metric, CountMetric):
            found[name] = float(metric.of_sums(sums))
        elif name == "log_loss":
            found[name] = float((mass * cells.losses).sum() / mass.sum())
        elif name == "brier_score":
            score = cells.scores[:, 1]
            found[name] = float((mass[:, 1] * (1 - score) ** 2 + mass[:, 0] * score**2).sum() / mass.sum())
        else:
            area = _roc_area if name == "roc_auc" else _average_precision
            parts = [
                area(cells.order[code][1], rows=rows, mass=mass[:, code], doubt=doubt[:, code])
                for code in cells.ranked_classes
            ]
            found[name] = sum(parts) / len(parts)
    return found


def _roc_area(place: NDArray[Any], *, rows: NDArray[Any], mass: Floats, doubt: Floats) -> float:
    import numpy as np

    positives = np.bincount(place, weights=mass)
    negatives = np.bincount(place, weights=rows) - positives
    below = np.cumsum(negatives) - negatives / 2
    # No row is a pair with itself.
    pairs = positives.sum() * negatives.sum() - doubt.sum()
    return float((positives @ below - doubt.sum() / 2) / pairs) if pairs > 0 else float("nan")


def _average_precision(place: NDArray[Any], *, rows: NDArray[Any], mass: Floats, doubt: Floats) -> float:
    import numpy as np

    positives = np.bincount(place, weights=mass)
    reached = np.cumsum(np.bincount(place, weights=rows)[::-1])[::-1]
    hits = np.cumsum(positives[::-1])[::-1]
    # A row that is positive counts itself whole, not by its probability.
    total = positives * hits + np.bincount(place, weights=doubt)
    here = reached > 0
    every = positives.sum()
    return float((total[here] / reached[here]).sum() / every) if every > 0 else float("nan")
