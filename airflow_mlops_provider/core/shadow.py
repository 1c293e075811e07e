"""Two versions on the same rows without letting the second one speak: how far they agree, and which was right.

Agreement needs no labels and proves nothing about quality; the difference of a metric does, once labels are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.performance import MetricDifference
    from airflow_mlops_provider.core.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowAgreement:
    """How far two versions agree on the same rows.

    Parameters
    ----------
    rows : int
        Compared.
    agreement : float or None
        Share of rows with the same predicted class; None for a regression.
    rank_correlation : float or None
        Spearman's rho of the scores, in [-1, 1]; None without scores, or where one of them is constant.
    mean_shift : float or None
        Mean of shadow minus champion score.
    score_distance : float or None
        Wasserstein distance of the two distributions of scores, in the scores' units.
    """

    rows: int
    agreement: float | None
    rank_correlation: float | None
    mean_shift: float | None
    score_distance: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRecord:
    """What a version has shown in the shadow of the champion, over the labelled windows so far.

    Parameters
    ----------
    windows, rows : int
        Labelled ones.
    difference : MetricDifference or None
        Paired, over all these rows; positive where the shadow is better. None where the rows do not define it.
    reason : str
        Why there is no difference; "" otherwise.
    """

    windows: int
    rows: int
    difference: MetricDifference | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        found = None if self.difference is None else self.difference.to_dict()
        return {"windows": self.windows, "rows": self.rows, "difference": found, "reason": self.reason}


def agreement(
    *,
    champion: NDArray[Any],
    shadow: NDArray[Any],
    champion_scores: NDArray[np.float64] | None,
    shadow_scores: NDArray[np.float64] | None,
    is_regression: bool = False,
) -> ShadowAgreement:
    """Compare what two versions said of the same rows in the same order.

    Parameters
    ----------
    champion, shadow : array, shape (n,)
        Predicted classes, or values of a regression.
    champion_scores, shadow_scores : float array, shape (n,), or None
        Probabilities; of a regression, leave them None: its predictions are its scores.
    is_regression : bool, default False
        Whether the predictions are values.

    Returns
    -------
    ShadowAgreement
        Spearman's rho is Pearson's correlation of mid-ranks [1]_.

    Raises
    ------
    InputError
        The sides have different numbers of rows, or none.

    References
    ----------
    .. [1] C. Spearman, The proof and measurement of association between two things, Am. J. Psychol. 15 (1904) 72-101.

    Examples
    --------
    >>> import numpy as np
    >>> agreement(
    ...     champion=np.array(["a", "b", "b"]), shadow=np.array(["a", "b", "a"]),
    ...     champion_scores=np.array([0.1, 0.6, 0.9]), shadow_scores=np.array([0.2, 0.7, 0.8]),
    ... ).rank_correlation
    1.0
    """
    import numpy as np

    if len(champion) != len(shadow) or not len(champion):
        raise InputError(f"Champion and shadow must have the same rows; got {len(champion)} and {len(shadow)}.")
    if is_regression:
        champion_scores, shadow_scores = champion.astype(np.float64), shadow.astype(np.float64)
    rho = shift = distance = None
    if champion_scores is not None and shadow_scores is not None:
        from scipy.stats import spearmanr, wasserstein_distance

        shift = float((shadow_scores - champion_scores).mean())
        distance = float(wasserstein_distance(champion_scores, shadow_scores))
        if len(champion_scores) > 1 and np.ptp(champion_scores) > 0 and np.ptp(shadow_scores) > 0:
            rho = float(spearmanr(champion_scores, shadow_scores).statistic)
    return ShadowAgreement(
        rows=len(champion),
        agreement=None if is_regression else float(np.mean(champion == shadow)),
        rank_correlation=rho,
        mean_shift=shift,
        score_distance=distance,
    )


def record(
    pairs: Sequence[tuple[Predictions, Predictions]],
    *,
    metric: str,
    confidence: float = 0.95,
    seed: int = 0,
) -> ShadowRecord:
    """Compare champion and shadow over all labelled windows.

    Rows of all windows are pooled, so that a window of few rows, or of one class, counts for what it is.

    Parameters
    ----------
    pairs : sequence of (Predictions, Predictions)
        Champion and shadow on the rows of each window.
    metric : str
        As in :func:`~airflow_mlops_provider.core.performance.compare`.
    confidence : float, default 0.95
        Of the interval.
    seed : int, default 0
        Of the bootstrap.
    """
    from airflow_mlops_provider.core.performance import compare

    if not pairs:
        return ShadowRecord(windows=0, rows=0, difference=None, reason="there are no labelled windows")
    champion, shadow = (pooled([pair[side] for pair in pairs]) for side in (0, 1))
    try:
        difference = compare(challenger=shadow, champion=champion, metric=metric, confidence=confidence, seed=seed)
    except InputError as error:
        return ShadowRecord(windows=len(pairs), rows=champion.n_rows, difference=None, reason=str(error))
    return ShadowRecord(windows=len(pairs), rows=champion.n_rows, difference=difference)


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Put the rows of several windows together.

    Raises
    ------
    InputError
        They are of different tasks or classes, or only some have probabilities.
    """
    import numpy as np

    from airflow_mlops_provider.core.predictions import Predictions

    first = parts[0]
    if any((one.task, one.labels) != (first.task, first.labels) for one in parts):
        raise InputError("Windows of different tasks or classes cannot be put together.")
    given = [one.probabilities for one in parts]
    if any((one is None) != (given[0] is None) for one in given):
        raise InputError("Windows with and without probabilities cannot be put together.")
    return Predictions(
        task=first.task,
        labels=first.labels,
        y_true=np.concatenate([one.y_true for one in parts]),
        predicted=np.concatenate([one.predicted for one in parts]),
        probabilities=None if given[0] is None else np.concatenate([one for one in given if one is not None]),
    )
