"""How well a classifier does on rows without labels: the expected confusion matrix of its calibrated probabilities.

Known as confidence-based performance estimation (CBPE). It can see that rows have become harder or easier. It must
never be taken for a proof of quality: that probabilities still mean what they meant on the held-out rows is its
assumption, and concept drift, which breaks it, leaves no trace in what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.calibration import fit_calibration
from airflow_mlops_provider.core.catalog import unknown
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.expected import Cells, Scored, estimable, metrics_of
from airflow_mlops_provider.core.metrics import find
from airflow_mlops_provider.core.predictions import Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEstimate:
    """A metric that rows without labels are expected to give.

    Parameters
    ----------
    name : str
        The metric.
    value : float
        Expected.
    lower, upper : float
        Between them lies, with probability `confidence`, what the labels of these very rows will give.
    reference : float
        Its value on the held-out rows, from their labels.
    difference : float
        Positive where the rows are expected to give better values than the held-out ones.
    difference_lower, difference_upper : float
        Interval of the difference between the two populations that the rows were drawn from.
    confidence : float
        Nominal coverage of both.
    n_rows, n_reference : int
        Rows without labels, and held-out ones.
    greater_is_better : bool
        Direction of the metric.
    """

    name: str
    value: float
    lower: float
    upper: float
    reference: float
    difference: float
    difference_lower: float
    difference_upper: float
    confidence: float
    n_rows: int
    n_reference: int
    greater_is_better: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


def calibrated(reference: Predictions, probabilities: Floats) -> Floats:
    """Return the probabilities that a model's probabilities stand for, learned from rows whose truth is known.

    Each class is calibrated against the rest (of two classes the positive one), then rows are made to sum to 1.

    Parameters
    ----------
    reference : Predictions
        Of a classifier with probabilities; each class has rows.
    probabilities : float array, shape (n, K)
        As the model gives them.
    """
    cells = Cells.of(reference)
    return _calibrator(cells, cells.true)(probabilities)


def estimate(
    reference: Predictions,
    current: Scored,
    *,
    metrics: Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 400,
    seed: int = 0,
) -> dict[str, MetricEstimate]:
    r"""Estimate metrics on rows without labels.

    Probabilities are calibrated on the reference, :math:`p_i = c(s_i)`; each row then adds its share to the expected
    confusion matrix, :math:`E[TP] = \sum_{\hat y_i = 1} p_i`, :math:`E[FP] = \sum_{\hat y_i = 1} (1 - p_i)` and so on
    [1]_ [2]_; see :func:`~airflow_mlops_provider.core.expected.metrics_of` for the formulas.

    Both intervals are percentiles over resamples of the reference rows, on each of which calibration is learned anew.
    ``lower, upper`` also draws the labels of the given rows from their probabilities: it covers chance in the labels
    and in the calibration, and says where the realised value will be. ``difference_lower, difference_upper`` also
    resamples the given rows, and takes the reference's realised value on each resample: it covers the sampling of
    both sets of rows and the calibration, and says whether the change is more than chance.

    Assumed: rows are independent; :math:`P(y | s)` is what it was on the reference. Then a change of the features that
    moves rows to other scores is seen. A real shift changes :math:`P(y | s)` a little, too: of the churn table,
    resampled by tenure, 82 to 98 % of realised values lay in 95 % intervals; the accuracy estimated was off by a third
    to a tenth of what the held-out value would have been. It fails, without a sign, when

    - the relation between features and target changes (concept drift),
    - rows come from regions of the features that the reference lacks, where the same score means something else,
    - the score does not rise with the probability, so that no calibration mends it
      (:func:`~airflow_mlops_provider.core.decide_estimate.decide_estimate` checks this on the reference).

    Parameters
    ----------
    reference : Predictions
        Held-out rows, which the model did not learn from.
    current : Scored
        Rows without labels, of the same model.
    metrics : sequence of str, optional
        By default all of :func:`~airflow_mlops_provider.core.expected.estimable`.
    confidence : float, default 0.95
        In (0, 1), of the two-sided intervals.
    n_resamples : int, default 400
        At least 100.
    seed : int, default 0
        The same input and seed give the same result.

    Returns
    -------
    dict of str to MetricEstimate
        By name. A metric that these rows do not define (recall where nothing can be positive) is left out.

    Raises
    ------
    InputError
        There are no probabilities, the classes differ, the reference lacks a class, or a metric is unknown.

    References
    ----------
    .. [1] J. Białek et al., Estimating model performance under covariate shift without labels, arXiv:2401.08348
       (2024), and NannyML's documentation, "Confidence-based Performance Estimation".
    .. [2] D. Guillory et al., Predicting with confidence on unseen distributions, ICCV 2021, 1134-1144.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.repeat([0.1, 0.9], 100)
    >>> scores = np.column_stack([1 - p, p])
    >>> truth = np.tile([0] * 9 + [1], 10).tolist() + np.tile([1] * 9 + [0], 10).tolist()
    >>> known = Predictions(
    ...     task="binary", labels=("no", "yes"), y_true=truth, predicted=p.round().astype(int), probabilities=scores
    ... )
    >>> rows = Scored(labels=("no", "yes"), predicted=p.round().astype(int), probabilities=scores)
    >>> round(estimate(known, rows, metrics=["accuracy"])["accuracy"].value, 6)
    0.9
    """
    import numpy as np

    names = _checked(reference, current, metrics, confidence=confidence, n_resamples=n_resamples)
    before, now = Cells.of(reference), Cells.of(current)
    value = metrics_of(
        now, rows=now.rows, shares=_calibrator(before, before.true)(now.scores), names=names, is_certain=False
    )
    known = metrics_of(before, rows=before.rows, shares=_shares(before.true), names=names, is_certain=True)
    realised, change = _resampled(before, now, names, n_resamples=n_resamples, seed=seed)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    found = {}
    for column, name in enumerate(names):
        bounds = np.nanquantile(realised[:, column], tails) if _mostly(realised[:, column]) else None
        if bounds is None or not _mostly(change[:, column]) or not np.isfinite([value[name], known[name]]).all():
            continue
        sign = 1.0 if find(name).greater_is_better else -1.0
        lower, upper = np.nanquantile(sign * change[:, column], tails)
        found[name] = MetricEstimate(
            name=name,
            value=value[name],
            lower=float(bounds[0]),
            upper=float(bounds[1]),
            reference=known[name],
            difference=sign * (value[name] - known[name]),
            difference_lower=float(lower),
            difference_upper=float(upper),
            confidence=confidence,
            n_rows=current.n_rows,
            n_reference=reference.n_rows,
            greater_is_better=sign > 0,
        )
    return found


def _checked(
    reference: Predictions, current: Scored, metrics: Sequence[str] | None, *, confidence: float, n_resamples: int
) -> list[str]:
    reference.require_probabilities()
    if reference.labels != current.labels:
        raise InputError(
            f"An estimate needs rows of one model: its classes are {reference.labels!r} on the held-out rows and "
            f"{current.labels!r} now."
        )
    lacking = [label for label, count in reference.class_counts().items() if not count]
    if lacking:
        raise InputError(f"The held-out rows have none of class {lacking[0]!r}, so its probability cannot be learned.")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1; got {confidence!r}. Hint: 0.95 for 95 %.")
    if n_resamples < 100:
        raise InputError(f"n_resamples must be at least 100 for an interval; got {n_resamples!r}.")
    known = estimable(reference.task)
    for name in metrics or ():
        if name not in known:
            raise unknown(f"{reference.task} metric without labels", name, known)
    return list(known if metrics is None else metrics)


def _resampled(
    before: Cells, now: Cells, names: Sequence[str], *, n_resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Return the metrics that drawn labels give, and the change from reference to current, of each resample."""
    import numpy as np

    assert before.true is not None  # noqa: S101 - the caller's condition, told to the type checker
    rng = np.random.default_rng(seed)
    kinds, total, rows = before.true.ravel(), int(before.rows.sum()), int(now.rows.sum())
    realised, change = (np.full((n_resamples, len(names)), np.nan) for _ in range(2))
    for draw in range(n_resamples):
        true = rng.multinomial(total, kinds / total).reshape(before.true.shape)
        again = rng.multinomial(rows, now.rows / rows)
        if not true.sum(axis=0).all():
            continue
        shares = _calibrator(before, true)(now.scores)
        labels = rng.multinomial(now.rows, shares)
        drawn = metrics_of(now, rows=now.rows, shares=labels / now.rows[:, None], names=names, is_certain=True)
        expected = metrics_of(now, rows=again, shares=shares, names=names, is_certain=False)
        known = metrics_of(before, rows=true.sum(axis=1), shares=_shares(true), names=names, is_certain=True)
        realised[draw] = [drawn[name] for name in names]
        change[draw] = [expected[name] - known[name] for name in names]
    return realised, change


def _calibrator(cells: Cells, true: NDArray[np.int64] | None) -> Callable[[Floats], Floats]:
    import numpy as np

    assert true is not None  # noqa: S101 - the caller's condition, told to the type checker
    counts = true.astype(np.float64)
    learned = {}
    for code, (scores, place) in cells.order.items():
        positives = np.bincount(place, weights=counts[:, code])
        rows = np.bincount(place, weights=counts.sum(axis=1))
        learned[code] = fit_calibration(scores, positives=positives, rows=rows)

    def calibrate(probabilities: Floats) -> Floats:
        if cells.task == "binary":
            positive = learned[1](probabilities[:, 1])
            return np.column_stack([1 - positive, positive])
        each = np.column_stack([learned[code](probabilities[:, code]) for code in cells.ranked_classes])
        # Where no class seems possible, the model's own word is all there is.
        each = np.where(each.sum(axis=1, keepdims=True) > 0, each, probabilities)
        shares: Floats = each / each.sum(axis=1, keepdims=True)
        return shares

    return calibrate


def _shares(true: NDArray[np.int64] | None) -> Floats:
    import numpy as np

    assert true is not None  # noqa: S101 - the caller's condition, told to the type checker
    shares: Floats = true / np.maximum(true.sum(axis=1, keepdims=True), 1)
    return shares


def _mostly(values: Floats) -> bool:
    """Tell whether a metric was defined on nearly all resamples."""
    import numpy as np

    return bool(np.isfinite(values).mean() > 0.95)
