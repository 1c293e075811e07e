"""From what a user names to an unfitted, seeded pipeline with the preprocessing its estimator needs.

Only subclasses of scikit-learn's ``BaseEstimator`` are ever called: an import path may come from a run's parameters,
and must not become a way to run any callable.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Candidate, Task
from airflow_mlops_provider.training.columns import Features

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

# Splits on single columns are blind to scale; everything else, and everything unknown, is given scaled numbers.
UNSCALED_MODULES = ("sklearn.tree", "sklearn.ensemble", "sklearn.naive_bayes", "sklearn.dummy", "xgboost", "lightgbm")
# Above this many distinct texts one column each is wasteful; the mean target of a text says more.
MAX_ONE_HOT = 50
# No part may begin with two underscores: importing a package's __main__ would run it.
_IMPORT_PATH = re.compile(r"(?!__)[^\W\d]\w*(\.(?!__)[^\W\d]\w*)+")

ClassWeight = Literal["balanced"] | dict[Any, float] | None


def build_pipeline(
    candidate: Candidate,
    *,
    features: Features,
    high_cardinality: frozenset[str],
    task: Task,
    seed: int,
    class_weight: ClassWeight = None,
    preprocessing: Any = "auto",
) -> Pipeline:
    """Return the unfitted pipeline of a candidate.

    Parameters
    ----------
    candidate : Candidate
        Estimator and parameters.
    features : Features
        The columns it will see.
    high_cardinality : frozenset of str
        Categorical columns with more distinct texts than can be one-hot encoded; they are target-encoded.
    task : {"binary", "multiclass", "regression"}
        What the estimator must be able to do.
    seed : int
        Given to every part that has a ``random_state``, unless the user set one.
    class_weight : "balanced", mapping of class to weight, or None
        Set on the estimator.
    preprocessing : "auto", None or transformer
        ``auto`` imputes, encodes and scales as the estimator needs; None gives it the columns as they are.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``preprocessing`` (unless None) and ``model``.

    Raises
    ------
    InputError
        The import path or a parameter is wrong, or the estimator cannot do the task.
    """
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    estimator = build_estimator(candidate, task=task, class_weight=class_weight)
    steps: list[tuple[str, Any]] = []
    if preprocessing == "auto" and not isinstance(estimator, Pipeline):
        steps.append(
            ("preprocessing", _preprocessor(estimator, features=features, high_cardinality=high_cardinality, task=task))
        )
    elif not isinstance(preprocessing, str | None):
        steps.append(("preprocessing", clone(preprocessing)))
    elif preprocessing not in ("auto", None):
        raise InputError(f"preprocessing must be 'auto', None or a scikit-learn transformer; got {preprocessing!r}.")
    pipeline = Pipeline([*steps, ("model", estimator)])
    unset = [
        name
        for name, value in pipeline.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    return pipeline.set_params(**dict.fromkeys(unset, seed))


def build_estimator(candidate: Candidate, *, task: Task, class_weight: ClassWeight = None) -> BaseEstimator:
    """Return the unfitted estimator of a candidate with its parameters set."""
    from sklearn.base import BaseEstimator, clone

    given = candidate.estimator
    if isinstance(given, str):
        kind = _import(given)
        estimator = _call(kind, candidate)
    elif isinstance(given, BaseEstimator):
        estimator = _set(clone(given), candidate)
    else:
        raise InputError(
            f"Candidate {candidate.label!r} must be an import path or a scikit-learn estimator; got {type(given)}."
        )
    require_task(estimator, task=task, label=candidate.label)
    if class_weight is not None:
        if "class_weight" not in estimator.get_params():
            raise InputError(
                f"Candidate {candidate.label!r} ({type(estimator).__name__}) has no class_weight. "
                "Hint: leave class_weight out, or choose an estimator that has it."
            )
        estimator.set_params(class_weight=class_weight)
    return estimator


def require_task(estimator: BaseEstimator, *, task: Task, label: str) -> None:
    """Raise :class:`InputError` unless the estimator predicts what the task asks for."""
    from sklearn.base import is_classifier, is_regressor

    fits = is_regressor(estimator) if task == "regression" else is_classifier(estimator)
    if not fits:
        raise InputError(
            f"Candidate {label!r} ({type(estimator).__name__}) cannot do {task}. "
            f"Hint: give a {'regressor' if task == 'regression' else 'classifier'}, or set task."
        )


def _import(path: str) -> type[BaseEstimator]:
    from sklearn.base import BaseEstimator

    module_name, _, name = path.rpartition(".")
    hint = "Hint: for example 'sklearn.linear_model.LogisticRegression'."
    if not _IMPORT_PATH.fullmatch(path):
        raise InputError(f"Estimator {path!r} is not an import path. {hint}")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (Exception, SystemExit) as error:
        # Importing runs the module, which may fail in any way.
        raise InputError(f"Estimator {path!r} cannot be imported: {error}. {hint}") from error
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise InputError(f"Estimator {path!r} is not a scikit-learn estimator class; got {found!r}. {hint}")
    return found


def _call(kind: type[BaseEstimator], candidate: Candidate) -> BaseEstimator:
    try:
        return kind(**candidate.params)
    except (TypeError, ValueError) as error:
        raise InputError(f"Candidate {candidate.label!r} cannot be made with {dict(candidate.params)}: {error}") from (
            error
        )


def _set(estimator: BaseEstimator, candidate: Candidate) -> BaseEstimator:
    try:
        return estimator.set_params(**candidate.params)
    except (TypeError, ValueError) as error:
        raise InputError(f"Candidate {candidate.label!r} cannot be given {dict(candidate.params)}: {error}") from error


def _preprocessor(
    estimator: BaseEstimator, *, features: Features, high_cardinality: frozenset[str], task: Task
) -> BaseEstimator:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, TargetEncoder

    categorical = features.of_kind("categorical")
    few = [name for name in categorical if name not in high_cardinality]
    many = [name for name in categorical if name in high_cardinality]
    parts: list[tuple[str, Any, list[str]]] = []
    if numeric := features.of_kind("numeric"):
        parts.append(("numeric", _numeric_part(estimator), numeric))
    if few:
        # A text never seen in training is all zeros; a missing one is a category of its own.
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="if_binary")
        parts.append(("categorical", encoder, few))
    if many:
        target_type = {"binary": "binary", "multiclass": "multiclass", "regression": "continuous"}[task]
        parts.append(("high_cardinality", TargetEncoder(target_type=target_type), many))
    return ColumnTransformer(parts, verbose_feature_names_out=False)


def _numeric_part(estimator: BaseEstimator) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    # An ensemble of given estimators (voting, stacking, bagging) is as sensitive as they are.
    given = {"estimator", "estimators"} & {
        name for name, value in estimator.get_params(deep=False).items() if value is not None
    }
    scales = bool(given) or not type(estimator).__module__.startswith(UNSCALED_MODULES)
    takes_missing = estimator.__sklearn_tags__().input_tags.allow_nan
    steps: list[tuple[str, Any]] = []
    if not takes_missing:
        # The indicator exists for columns that miss values in training only, so complete data cost nothing.
        steps.append(("impute", SimpleImputer(strategy="median", add_indicator=True)))
    if scales:
        steps.append(("scale", StandardScaler()))
    return Pipeline(steps) if steps else "passthrough"
