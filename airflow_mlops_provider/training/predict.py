"""From a fitted model and labelled rows to the predictions that metrics and gates judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import RankingMetric, find
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.specs import Task
from airflow_mlops_provider.training.target import encode

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def predict(
    model: Any,
    rows: pd.DataFrame,
    values: np.ndarray,
    *,
    task: Task,
    classes: Sequence[Any],
    target: str,
    metric: str | None = None,
) -> Predictions:
    """Let a model predict labelled rows.

    Parameters
    ----------
    model : fitted scikit-learn estimator
        With ``predict`` and, for classes, ``predict_proba`` or ``decision_function`` where it has them.
    rows : pandas.DataFrame, shape (n_rows, n_features)
        Features as :func:`airflow_mlops_provider.training.columns.to_frame` gives them.
    values : array, shape (n_rows,)
        True values.
    task : {"binary", "multiclass", "regression"}
        Kind of prediction.
    classes : sequence
        Classes in code order; () for regression.
    target : str
        Name of the target, for messages.
    metric : str, optional
        The only metric that will be computed: what it does not need is not predicted, and where it needs scores only,
        the predicted classes are the most likely ones.

    Returns
    -------
    Predictions

    Raises
    ------
    InputError
        True values outside `classes`, or predictions that are not finite.
    """
    import numpy as np

    if task == "regression":
        return Predictions(
            task=task,
            y_true=np.asarray(values, dtype=float),
            labels=(),
            predicted=np.asarray(model.predict(rows), dtype=float),
        )
    codes = encode(values, classes=classes, name=target)
    needs_scores, needs_classes = _needs(metric)
    probabilities, margins = _scores(model, rows, classes) if needs_scores else (None, None)
    scores = probabilities if margins is None else margins
    if needs_classes or scores is None:
        predicted = encode(np.asarray(model.predict(rows), dtype=object), classes=classes, name=target)
    else:
        predicted = scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(np.int64)
    return Predictions(
        task=task,
        y_true=codes,
        labels=tuple(str(one) for one in classes),
        predicted=predicted,
        probabilities=probabilities,
        margins=margins,
    )


def _needs(metric: str | None) -> tuple[bool, bool]:
    """Tell whether a metric needs scores, and whether it needs predicted classes; None needs both."""
    if metric is None:
        return True, True
    found = find(metric)
    needs_scores = found.probabilities or isinstance(found, RankingMetric)
    return needs_scores, not needs_scores


def _scores(model: Any, rows: pd.DataFrame, classes: Sequence[Any]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return probabilities or else decision values, in our order of classes."""
    import numpy as np

    order = _order(model, classes)
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows), dtype=float)[:, order], None
    if not hasattr(model, "decision_function") or _decides_pairs(model):
        return None, None
    margins = np.asarray(model.decision_function(rows), dtype=float)
    return None, margins[:, order] if len(order) > 2 else margins * (1 if order[1] == 1 else -1)


def _decides_pairs(model: Any) -> bool:
    """Tell whether the decision values belong to pairs of classes, which for three classes look like theirs."""
    shapes = [value for name, value in model.get_params().items() if name.endswith("decision_function_shape")]
    return len(model.classes_) > 2 and "ovo" in shapes


def _order(model: Any, classes: Sequence[Any]) -> list[int]:
    known = model.classes_.tolist()
    if sorted(map(str, known)) != sorted(map(str, classes)):
        raise InputError(f"The model knows the classes {known}, the target has {list(classes)}.")
    return [known.index(one) for one in classes]
