"""How much a model leans on each column, measured on rows it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.training.scorer import Scorer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

IMPORTANCE_ROWS = 2_000
IMPORTANCE_REPEATS = 5


def permutation_importances(
    model: Any, rows: pd.DataFrame, values: np.ndarray, *, scorer: Scorer, seed: int
) -> dict[str, tuple[float, float]]:
    """Return how much the metric falls when a feature is shuffled.

    Permutation importance (Breiman 2001, "Random Forests", section 10) on at most 2,000 held-out rows, 5 repeats.

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
    from sklearn.inspection import permutation_importance

    keep = _sample(values, by_class=scorer.target.task != "regression", seed=seed)
    rows, values = rows.iloc[keep], values[keep]
    result = permutation_importance(
        model, rows, values, scoring=scorer, n_repeats=IMPORTANCE_REPEATS, random_state=seed
    )
    pairs = zip(result.importances_mean.tolist(), result.importances_std.tolist(), strict=True)
    importances = dict(zip(rows.columns, pairs, strict=True))
    return dict(sorted(importances.items(), key=lambda one: -one[1][0]))


def _sample(values: np.ndarray, *, by_class: bool, seed: int) -> np.ndarray:
    """Choose about `IMPORTANCE_ROWS` rows, in order; a rare class keeps two, without which metrics are undefined."""
    import numpy as np

    if len(values) <= IMPORTANCE_ROWS:
        return np.arange(len(values))
    order = np.random.default_rng(seed).permutation(len(values))
    chosen = order[:IMPORTANCE_ROWS]
    if by_class:
        shuffled = values[order]
        chosen = np.union1d(chosen, [row for one in set(values.tolist()) for row in order[shuffled == one][:2]])
    return np.sort(chosen)
