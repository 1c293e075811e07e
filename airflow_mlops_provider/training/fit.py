"""From training rows and candidates to one fitted pipeline: cross-validation, choice, refit.

Everything random is seeded and rows arrive in an order that does not depend on the file, so the same rows and settings
give the same model. The held-out rows are never seen here.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import greater_is_better
from airflow_mlops_provider.core.specs import Candidate
from airflow_mlops_provider.training.scorer import Scorer
from airflow_mlops_provider.training.search import search_parameters

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline

    Folds = Sequence[tuple[np.ndarray, np.ndarray]]

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateResult:
    """How one candidate did in cross-validation.

    Parameters
    ----------
    name : str
        Its label.
    params : mapping
        Parameters set by the user and found by the search.
    fold_scores : tuple of float
        Value of the metric on each fold; () without cross-validation.
    seconds : float
        Time spent on it.
    """

    name: str
    params: Mapping[str, Any]
    fold_scores: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float | None:
        """Mean over the folds, None without folds."""
        return sum(self.fold_scores) / len(self.fold_scores) if self.fold_scores else None


def choose(
    candidates: Sequence[Candidate],
    *,
    build: Callable[[Candidate], Pipeline],
    rows: pd.DataFrame,
    scorer: Scorer,
    folds: Folds,
    seed: int,
    log: Log,
) -> tuple[Pipeline, CandidateResult, list[CandidateResult]]:
    """Search and cross-validate each candidate, and fit the best on all training rows.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one.
    build : callable
        From a candidate to its unfitted pipeline.
    rows : pandas.DataFrame, shape (n_train, n_features)
        Training rows; their target is in `scorer`.
    scorer : Scorer
        Metric and target.
    folds : sequence of (train indices, validation indices)
        Empty: no cross-validation, which leaves room for one candidate without search only.
    seed : int
        For the search.
    log : callable
        Told of each step.

    Returns
    -------
    fitted pipeline, its result, all results

    Raises
    ------
    InputError
        A candidate cannot be fitted with its parameters, or there is nothing to choose by.
    """
    if not folds and (len(candidates) > 1 or candidates[0].search is not None):
        raise InputError("folds must be at least 2 to choose among candidates or parameters; got 0.")
    values = scorer.target.values
    tried: list[tuple[Pipeline, CandidateResult]] = []
    for number, candidate in enumerate(candidates, start=1):
        log(f"Candidate {number}/{len(candidates)}: {candidate.label}")
        started = time.monotonic()
        pipeline = build(candidate)
        with _fitting(candidate, log):
            params = dict(candidate.params)
            if candidate.search is not None:
                found = search_parameters(
                    candidate.search, pipeline, rows, values, scorer=scorer, folds=folds, seed=seed, log=log
                )
                pipeline.set_params(**found)
                params |= {name.removeprefix("model__"): value for name, value in found.items()}
            scores = _cross_validate(pipeline, rows, values, scorer, folds, log)
        result = CandidateResult(
            name=candidate.label, params=params, fold_scores=scores, seconds=time.monotonic() - started
        )
        tried.append((pipeline, result))
    sign = 1 if greater_is_better(scorer.metric) else -1
    best = max(range(len(tried)), key=lambda i: sign * (tried[i][1].mean or 0.0))
    pipeline, result = tried[best]
    log(f"Fitting {result.name} on all {len(rows)} training rows")
    with _fitting(candidates[best], log):
        pipeline.fit(rows, values)
    return pipeline, result, [result for _, result in tried]


@contextmanager
def _fitting(candidate: Candidate, log: Log) -> Iterator[None]:
    """Turn what scikit-learn says of bad parameters or data into our error, and its warnings into log lines."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except InputError:
            raise
        except (ValueError, TypeError) as error:
            raise InputError(
                f"Candidate {candidate.label!r} cannot be fitted with {dict(candidate.params)}: {error}"
            ) from error
    counts: dict[str, int] = {}
    for one in caught:
        text = str(one.message).splitlines()[0]
        counts[text] = counts.get(text, 0) + 1
    for text, count in counts.items():
        log(f"  warning from {candidate.label} ({count} x): {text}")


def _cross_validate(
    pipeline: Pipeline, rows: pd.DataFrame, values: np.ndarray, scorer: Scorer, folds: Folds, log: Log
) -> tuple[float, ...]:
    from sklearn.base import clone

    scores = []
    for number, (train, validation) in enumerate(folds, start=1):
        model = clone(pipeline).fit(rows.iloc[train], values[train])
        try:
            scores.append(scorer.value(model, rows.iloc[validation], values[validation]))
        except InputError as error:
            raise InputError(f"Fold {number} of {len(folds)} cannot be judged: {error}") from error
        log(f"  fold {number}/{len(folds)}: {scorer.metric} {scores[-1]:.4f}")
    return tuple(scores)


def model_digest(model: Any) -> str:
    """Return an identity of a fitted model: equal for models fitted alike, in any process.

    Parameters
    ----------
    model : fitted estimator

    Returns
    -------
    str
        40 hexadecimal digits (joblib's hash over parameters and fitted state). It tells models apart; it is no
        protection against tampering.
    """
    import joblib

    return str(joblib.hash(model, hash_name="sha1"))
