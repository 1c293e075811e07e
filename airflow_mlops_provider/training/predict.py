"""From a fitted model and labelled rows to the predictions that metrics and gates judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.specs import Task
from airflow_mlops_provider.training.target import encode

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def predict(
    model: Any, rows: pd.DataFrame, values: np.ndarray, *, task: Task, classes: Sequence[Any], target: str
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
    order = _order(model, classes)
    predicted = encode(np.asarray(model.predict(rows), dtype=object), classes=classes, name=target)
    probabilities = (
        np.asarray(model.predict_proba(rows), dtype=float)[:, order] if hasattr(model, "predict_proba") else None
    )
    margins = None
    if probabilities is None and hasattr(model, "decision_function") and not _decides_pairs(model):
        margins = np.asarray(model.decision_function(rows), dtype=float)
        margins = margins[:, order] if task == "multiclass" else margins * (1 if order[1] == 1 else -1)
    return Predictions(
        task=task,
        y_true=codes,
        labels=tuple(str(one) for one in classes),
        predicted=predicted,
        probabilities=probabilities,
        margins=margins,
    )


def _decides_pairs(model: Any) -> bool:
    """Tell whether the decision values belong to pairs of classes, which for three classes look like theirs."""
    shapes = [value for name, value in model.get_params().items() if name.endswith("decision_function_shape")]
    return len(model.classes_) > 2 and "ovo" in shapes


def _order(model: Any, classes: Sequence[Any]) -> list[int]:
    known = model.classes_.tolist()
    if sorted(map(str, known)) != sorted(map(str, classes)):
        raise InputError(f"The model knows the classes {known}, the target has {list(classes)}.")
    return [known.index(one) for one in classes]
