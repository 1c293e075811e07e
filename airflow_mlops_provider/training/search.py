"""Hyperparameter search by cross-validation inside the training rows: grid, random, successive halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Search
from airflow_mlops_provider.training.scorer import Scorer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline

    Folds = Sequence[tuple[np.ndarray, np.ndarray]]

HALVING_FACTOR = 3


def search_parameters(
    search: Search,
    pipeline: Pipeline,
    rows: pd.DataFrame,
    values: np.ndarray,
    *,
    scorer: Scorer,
    folds: Folds,
    seed: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Return the best parameters of a pipeline.

    Parameters
    ----------
    search : Search
        Space and method.
    pipeline : Pipeline
        Unfitted; its last step is ``model``, whose parameters the space names without prefix.
    rows : pandas.DataFrame, shape (n_train, n_features)
        Training rows.
    values : array, shape (n_train,)
        Their target.
    scorer : Scorer
        What is maximised.
    folds : sequence of (train indices, validation indices)
        The same for every combination.
    seed : int
        Of the random methods.
    log : callable
        Told of each fit.

    Raises
    ------
    InputError
        The space names a parameter that does not exist, or halving starts from too few rows.
    """
    known = pipeline.get_params()
    # The estimator's own name first: a pipeline has parameters of its own, such as verbose.
    space = {f"model__{name}" if f"model__{name}" in known else name: tried for name, tried in search.space.items()}
    unknown = sorted(set(space) - set(known))
    if unknown:
        own = sorted(name.removeprefix("model__") for name in known if name.startswith("model__"))
        raise InputError(f"There is no parameter {unknown[0]!r} to search over. Hint: there are {', '.join(own)}.")
    done = 0

    def tell(value: float) -> None:
        nonlocal done
        done += 1
        log(f"  search fit {done}: {scorer.metric} {value:.4f}")

    tuner = _tuner(search, pipeline, space, seed=seed, scoring=replace(scorer, tell=tell), cv=list(folds))
    log(f"  {search.method} search over {', '.join(search.space)}, {len(folds)} folds")
    try:
        tuner.fit(rows, values)
    except InputError as error:
        if search.method != "halving":
            raise
        raise InputError(
            f"Successive halving from {search.n_iter} combinations starts from too few rows: {error} "
            "Hint: a smaller n_iter, or method='random'."
        ) from error
    found: dict[str, Any] = tuner.cv_results_["params"][tuner.best_index_]
    log(f"  best of {len(tuner.cv_results_['params'])}: {found}")
    return found


def _tuner(
    search: Search, pipeline: Pipeline, space: dict[str, Any], *, seed: int, scoring: Scorer, cv: list[Any]
) -> Any:
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes HalvingRandomSearchCV importable
    from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV

    common: dict[str, Any] = {"scoring": scoring, "cv": cv, "refit": False, "error_score": "raise"}
    if search.method == "grid":
        return GridSearchCV(pipeline, space, **common)
    if search.method == "random":
        return RandomizedSearchCV(pipeline, space, n_iter=search.n_iter, random_state=seed, **common)
    return HalvingRandomSearchCV(
        pipeline,
        space,
        n_candidates=search.n_iter,
        factor=HALVING_FACTOR,
        # As many rows as let the last round have all; scikit-learn's default may start from a handful.
        min_resources="exhaust",
        return_train_score=False,
        random_state=seed,
        **common,
    )
