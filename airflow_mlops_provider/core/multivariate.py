"""Drift that no single column shows: can a model tell current rows from reference rows, and do they fit its structure?

It works on rows, so only where a sample of the reference is stored. It must never judge rows by a model that saw them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.drift_method import check_count, check_number
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.predictions import Predictions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST_CATEGORIES = 20
_FOLDS = 5
_FEWEST_ROWS = 50  # below, a fold holds too few rows to learn from


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainClassifier:
    """How well a model tells current from reference rows.

    Parameters
    ----------
    roc_auc : float
        Cross-validated; 0.5 where they are alike.
    lower, upper : float
        Its interval.
    confidence : float
        Of the interval.
    threshold : float
        ROC AUC from which on it matters.
    drift : bool
        Whether `roc_auc` reaches the threshold and `lower` is above 0.5.
    n_reference, n_current : int
        Rows used.
    """

    roc_auc: float
    lower: float
    upper: float
    confidence: float
    threshold: float
    drift: bool
    n_reference: int
    n_current: int

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionError:
    """How well current rows fit the linear structure of the reference.

    Parameters
    ----------
    reference, current : float
        Mean error of reference rows that the structure was not learned from, and of current rows, in standard
        deviations.
    lower, upper : float
        Where the current mean lies, at the given number of standard errors, when nothing changed.
    n_components : int
        Principal components kept.
    drift : bool
        Whether `current` lies outside.
    n_reference, n_current : int
        Rows used.
    """

    reference: float
    current: float
    lower: float
    upper: float
    n_components: int
    drift: bool
    n_reference: int
    n_current: int

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


def domain_classifier(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    threshold: float = 0.6,
    confidence: float = 0.95,
    max_rows: int = 10_000,
    seed: int = 0,
) -> DomainClassifier:
    """Train a model to tell current rows from reference rows.

    Gradient boosted trees over five stratified folds; each row is scored by the model that did not see it, and the ROC
    AUC of all of them gets DeLong's interval [1]_. 0.5 means that nothing tells them apart; NannyML alerts above 0.65
    [2]_. Assumes rows drawn independently; rows of one customer on both sides would be found by the customer.

    Parameters
    ----------
    reference, current : DataFrame
        The same columns. Text and booleans become indicators of the reference's 20 most frequent categories; missing
        numbers count as its median, with an indicator. Dates are left out: time passes.
    threshold : float, default 0.6
        Smallest ROC AUC that matters, 0.5 to 1.
    confidence : float, default 0.95
        Of the interval, in (0, 1).
    max_rows : int, default 10000
        Rows of each side that are used, drawn at random, at least 50.
    seed : int, default 0
        Of the draws, the folds and the model.

    Returns
    -------
    DomainClassifier

    Raises
    ------
    InputError
        The columns differ, none can be used, or a side has fewer than 50 rows.

    References
    ----------
    .. [1] E. R. DeLong et al., Biometrics 44 (1988) 837-845.
    .. [2] D. Lopez-Paz, M. Oquab, Revisiting classifier two-sample tests, ICLR 2017.
    """
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits  # scikit-learn requires it

    check_number("threshold", "domain_classifier", threshold, low=0.5, high=1.0)
    x, n_reference, n_current = _stack(reference, current, max_rows, seed)
    y = np.repeat([0, 1], [n_reference, n_current])
    model = HistGradientBoostingClassifier(
        max_iter=50, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False, random_state=seed
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    # The trees' threads wait for each other actively: beside other busy workers two take 20 times as long as one.
    with threadpool_limits(1):
        scores = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
    found = evaluate(
        Predictions(
            task="binary",
            labels=("reference", "current"),
            y_true=y,
            predicted=(scores[:, 1] >= 0.5).astype(np.int64),
            probabilities=scores,
        ),
        metrics=["roc_auc"],
        confidence=confidence,
    )["roc_auc"]
    return DomainClassifier(
        roc_auc=found.value,
        lower=found.lower,
        upper=found.upper,
        confidence=confidence,
        threshold=threshold,
        drift=found.value >= threshold and found.lower > 0.5,
        n_reference=n_reference,
        n_current=n_current,
    )


def reconstruction_error(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    variance_share: float = 0.65,
    n_sigma: float = 3.0,
    max_rows: int = 10_000,
    seed: int = 0,
) -> ReconstructionError:
    """Compare how well principal components of the reference reconstruct reference and current rows.

    Columns are standardised by one half of the reference and its principal components kept up to a share of variance
    [1]_. The error of a row is its distance from its projection. Errors of the other half of the reference, which the
    components have not seen, say what is usual: without drift the mean over m current rows lies within `n_sigma`
    standard errors ``s sqrt(1 / h + 1 / m)`` of the mean over its h rows, with their standard deviation s. It reacts
    to broken correlations, which no single column shows, and to spread, in both directions.

    Parameters
    ----------
    reference, current : DataFrame
        As for :func:`domain_classifier`.
    variance_share : float, default 0.65
        Variance that the components explain, in (0, 1); NannyML's default.
    n_sigma : float, default 3.0
        Standard errors, above 0.
    max_rows : int, default 10000
        Rows of each side that are used, drawn at random, at least 50.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    ReconstructionError

    Raises
    ------
    InputError
        The columns differ, fewer than two vary in the reference, or a side has fewer than 50 rows.

    References
    ----------
    .. [1] J. E. Jackson, G. S. Mudholkar, Control procedures for residuals associated with principal component
       analysis, Technometrics 21 (1979) 341-349.
    """
    import numpy as np
    from sklearn.decomposition import PCA

    check_number("n_sigma", "reconstruction_error", n_sigma, low=1e-9)
    check_number("variance_share", "reconstruction_error", variance_share, low=1e-9, high=1 - 1e-9)
    x, n_reference, n_current = _stack(reference, current, max_rows, seed)
    learned = np.random.default_rng(seed).permutation(n_reference)
    half = learned[: n_reference // 2]
    x = _standardise(x, half)
    if x.shape[1] < 2:
        raise InputError("reconstruction_error needs at least two columns that vary in the reference.")
    model = PCA(n_components=variance_share, svd_solver="full").fit(x[half])
    errors = np.linalg.norm(x - model.inverse_transform(model.transform(x)), axis=1)
    usual, now = errors[learned[n_reference // 2 :]], errors[n_reference:]
    margin = n_sigma * float(np.std(usual, ddof=1)) * sqrt(1 / len(usual) + 1 / len(now))
    mean, found = float(usual.mean()), float(now.mean())
    return ReconstructionError(
        reference=mean,
        current=found,
        lower=mean - margin,
        upper=mean + margin,
        n_components=int(model.n_components_),
        drift=abs(found - mean) > margin,
        n_reference=n_reference,
        n_current=n_current,
    )


def _stack(reference: pd.DataFrame, current: pd.DataFrame, max_rows: int, seed: int) -> tuple[Floats, int, int]:
    """Encode both samples as finite numbers by what the reference holds, reference rows first."""
    import numpy as np

    check_count("max_rows", "multivariate drift", max_rows, low=_FEWEST_ROWS)
    if set(reference.columns) != set(current.columns):
        differing = sorted(map(str, set(reference.columns) ^ set(current.columns)))
        raise InputError(f"Both samples must have the same columns; only one has {', '.join(differing)}.")
    rng = np.random.default_rng(seed)
    sides = []
    for name, frame in (("reference", reference), ("current", current)):
        if len(frame) < _FEWEST_ROWS:
            raise InputError(f"Multivariate drift needs at least {_FEWEST_ROWS} {name} rows; got {len(frame)}.")
        kept = np.sort(rng.permutation(len(frame))[:max_rows])
        sides.append(frame.iloc[kept])
    columns = [block for name in reference.columns for block in _encode(sides[0][name], sides[1][name])]
    if not columns:
        raise InputError("Multivariate drift found no column of numbers, text or booleans.")
    return np.column_stack(columns), len(sides[0]), len(sides[1])


def _encode(reference: pd.Series[Any], current: pd.Series[Any]) -> list[Floats]:
    """Numbers, missing at the reference's median and marked; frequent categories of the reference, others, missing."""
    import numpy as np
    import pandas as pd

    if isinstance(reference.dtype, np.dtype) and reference.dtype.kind in "Mm":
        # Time passes: dates would tell any two windows apart.
        return []
    both = pd.concat([reference, current], ignore_index=True)
    if pd.api.types.is_numeric_dtype(reference) and not pd.api.types.is_bool_dtype(reference):
        values = pd.to_numeric(both, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(values)
        usual = values[: len(reference)][known[: len(reference)]]
        return [np.where(known, values, np.median(usual) if len(usual) else 0.0), (~known).astype(np.float64)]
    text = both.astype("string")
    frequent = text[: len(reference)].value_counts().index[:_MOST_CATEGORIES]
    blocks = [(text == value).fillna(False).to_numpy(dtype=np.float64) for value in frequent]
    rest = text.notna() & ~text.isin(frequent)
    return [*blocks, rest.to_numpy(dtype=np.float64), text.isna().to_numpy(dtype=np.float64)]


def _standardise(x: Floats, learned: NDArray[np.int64]) -> Floats:
    """Centre and scale by the rows learned from, without columns that do not vary there."""
    import numpy as np

    top = np.maximum(np.abs(x).max(axis=0), 1e-300)
    x = x / top
    mean, std = x[learned].mean(axis=0), x[learned].std(axis=0)
    varies = std > 1e-12
    scaled: Floats = (x[:, varies] - mean[varies]) / std[varies]
    return scaled
