"""How much a model leans on each column, measured on rows it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.training.scorer import Scorer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

REPEATS = 5
MAX_ROWS = 2_000
MIN_ROWS = 500
# Predicted rows altogether: with many columns each is measured on fewer rows, so that a fit of a second is not followed
# by ten seconds of explaining it.
MAX_PREDICTED_ROWS = 100_000


def permutation_importances(
    model: Any, rows: pd.DataFrame, values: np.ndarray, *, scorer: Scorer, seed: int
) -> dict[str, tuple[float, float]]:
    """Return how much the metric falls when a feature is shuffled.

    Permutation importance (Breiman 2001, "Random Forests", section 10) with 5 shuffles of each column, on a sample of
    500 to 2,000 held-out rows, fewer where there are many columns.

    Parameters
    ----------
    model : fitted estimator
    rows : pandas.DataFrame, shape (n_rows, n_features)
        Held-out rows.
    values : array, shape (n_rows,)
        Their true values.
    scorer : Scorer
        The metric.
    seed : int
        For the sample and the shuffles.

    Returns
    -------
    dict of str to (mean, standard deviation)
        Greatest mean first; in units of the metric, positive when the feature helps.
    """
    import numpy as np
    import pandas as pd

    keep = _sample(values, columns=rows.shape[1], by_class=scorer.target.task != "regression", seed=seed)
    rows, values = rows.iloc[keep], values[keep]
    whole = scorer(model, rows, values)
    rng = np.random.default_rng(seed)
    # All shuffles of a column are predicted at once: calling a pipeline costs more than a thousand rows.
    stacked = pd.concat([rows] * REPEATS, ignore_index=True)
    found = {}
    for name in rows.columns:
        column = rows[name].to_numpy()
        shuffled = np.concatenate([rng.permutation(column) for _ in range(REPEATS)])
        scores = scorer.parts(model, stacked.assign(**{name: shuffled}), values, parts=REPEATS)
        losses = whole - np.asarray(scores)
        found[name] = (float(losses.mean()), float(losses.std()))
    return dict(sorted(found.items(), key=lambda one: -one[1][0]))


def _sample(values: np.ndarray, *, columns: int, by_class: bool, seed: int) -> np.ndarray:
    """Choose rows, in order; a rare class keeps two of them, without which ranking metrics are undefined."""
    import numpy as np

    most = min(MAX_ROWS, max(MIN_ROWS, MAX_PREDICTED_ROWS // (columns * REPEATS)))
    if len(values) <= most:
        return np.arange(len(values))
    order = np.random.default_rng(seed).permutation(len(values))
    chosen = order[:most]
    if by_class:
        shuffled = values[order]
        chosen = np.union1d(chosen, [row for one in set(values.tolist()) for row in order[shuffled == one][:2]])
    return np.sort(chosen)
