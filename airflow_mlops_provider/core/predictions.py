"""What a model said about rows whose truth is known, checked once so that every metric can rely on it.

It holds class codes, not class names, and must never hold features or anything else of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

# float32 probabilities of many classes sum to 1 only about this well.
_SUM_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Truth and predictions of one model on n rows.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    y_true : int array, shape (n,), or float array, shape (n,)
        Class codes 0 to K-1, or the target of a regression.
    labels : tuple of str, length K
        Class names in the order of their codes; the second is the positive class of a binary task. Empty for a
        regression.
    predicted : array as `y_true`
        Predicted class codes or values.
    probabilities : float array, shape (n, K), optional
        Class probabilities; rows sum to 1.
    margins : float array, shape (n,) for binary, (n, K) for multiclass, optional
        Decision values of a classifier that has no probabilities: larger means more likely. Only rankings are
        computed from them, never log loss or calibration. Give these or `probabilities`, not both.

    Raises
    ------
    InputError
        Lengths differ, a value is not finite, a code is not in range, or probabilities do not sum to 1.

    Examples
    --------
    >>> Predictions(
    ...     task="binary", labels=("stays", "leaves"), y_true=[0, 1, 1], predicted=[0, 1, 0],
    ...     probabilities=[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
    ... ).class_counts()
    {'stays': 1, 'leaves': 2}
    """

    task: Task
    y_true: NDArray[Any]
    predicted: NDArray[Any]
    labels: tuple[str, ...] = ()
    probabilities: NDArray[np.float64] | None = None
    margins: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        _check_labels(self.task, self.labels)
        read = _values if self.task == "regression" else _codes
        y_true = read("y_true", self.y_true, self.labels)
        if not len(y_true):
            raise InputError("y_true of Predictions must hold at least one row; got 0.")
        predicted = read("predicted", self.predicted, self.labels)
        _check_shape("predicted", predicted, (len(y_true),))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "y_true", y_true)
        object.__setattr__(self, "predicted", predicted)
        if self.probabilities is not None and (self.margins is not None or self.task == "regression"):
            raise InputError(f"probabilities of {self.task} Predictions exclude margins, and a regression has neither.")
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", self._checked_probabilities(self.probabilities))
        if self.margins is not None:
            object.__setattr__(self, "margins", self._checked_margins(self.margins))

    def _checked_probabilities(self, given: ArrayLike) -> NDArray[np.float64]:
        import numpy as np

        probabilities = _finite("probabilities", given)
        _check_shape("probabilities", probabilities, (self.n_rows, len(self.labels)))
        if probabilities.min() < 0 or probabilities.max() > 1:
            wrong = probabilities[(probabilities < 0) | (probabilities > 1)][0]
            raise InputError(f"probabilities of Predictions must be in [0, 1]; got {wrong}.")
        sums = probabilities.sum(axis=1)
        if np.abs(sums - 1).max() > _SUM_TOLERANCE:
            row = int(np.abs(sums - 1).argmax())
            raise InputError(
                f"probabilities of Predictions must sum to 1 in each row; row {row} sums to {sums[row]}. "
                "Hint: pass decision values as margins."
            )
        return probabilities

    def _checked_margins(self, given: ArrayLike) -> NDArray[np.float64]:
        if self.task == "regression":
            raise InputError("margins of Predictions belong to classifiers; the task is regression.")
        margins = _finite("margins", given)
        _check_shape("margins", margins, (self.n_rows,) if self.task == "binary" else (self.n_rows, len(self.labels)))
        return margins

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y_true)

    def take(self, rows: NDArray[np.int64] | slice) -> Predictions:
        """Return the predictions of some of the rows, by their positions."""
        return replace(
            self,
            y_true=self.y_true[rows],
            predicted=self.predicted[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            margins=None if self.margins is None else self.margins[rows],
        )

    def class_counts(self) -> dict[str, int]:
        """Count the true rows of each class, by its name; empty for a regression."""
        import numpy as np

        if self.task == "regression":
            return {}
        counts = np.bincount(self.y_true, minlength=len(self.labels))
        return dict(zip(self.labels, counts.tolist(), strict=True))

    def require_probabilities(self) -> NDArray[np.float64]:
        """Return the probabilities, or raise :class:`InputError` when the model has none."""
        if self.probabilities is None:
            raise InputError(
                "The model gives no class probabilities, so losses and calibration of its probabilities are undefined. "
                "Hint: calibrate the classifier (CalibratedClassifierCV) or choose a metric of ranks or classes."
            )
        return self.probabilities

    def class_scores(self) -> NDArray[np.float64]:
        """Return what ranks the rows by each class, shape (n, K); raise :class:`InputError` when there is nothing."""
        import numpy as np

        if self.probabilities is not None:
            return self.probabilities
        if self.margins is None:
            raise InputError(
                "The model gives neither class probabilities nor decision values, so rankings of its rows are "
                "undefined. Hint: choose a metric of classes, such as balanced_accuracy."
            )
        return np.column_stack([-self.margins, self.margins]) if self.task == "binary" else self.margins


def _check_labels(task: Task, labels: tuple[str, ...]) -> None:
    if task not in get_args(Task):
        raise InputError(f"task of Predictions must be one of {', '.join(get_args(Task))}; got {task!r}.")
    wanted = {"binary": len(labels) == 2, "multiclass": len(labels) >= 3, "regression": not labels}
    if not wanted[task] or len(set(labels)) != len(labels):
        raise InputError(
            f"labels of {task} Predictions must be distinct, 2 for binary, at least 3 for multiclass, none for "
            f"regression; got {labels!r}."
        )


def _check_shape(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise InputError(
            f"{name} of Predictions must have shape {shape}, as y_true and labels say; got {values.shape}."
        )


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view


def _finite(name: str, given: ArrayLike) -> NDArray[np.float64]:
    import numpy as np

    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} of Predictions must be numbers: {error}.") from error
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argwhere(~finite)[0][0])
        raise InputError(
            f"{name} of Predictions must be finite; row {row} is {values[row]}. "
            "Hint: find the rows on which the model or the target has no value."
        )
    return _frozen(values)


def _values(name: str, given: ArrayLike, labels: tuple[str, ...]) -> NDArray[np.float64]:
    values = _finite(name, given)
    if values.ndim != 1:
        raise InputError(f"{name} of Predictions must be one-dimensional; got shape {values.shape}.")
    return values


def _codes(name: str, given: ArrayLike, labels: tuple[str, ...]) -> NDArray[np.int64]:
    import numpy as np

    codes = np.asarray(given)
    if codes.ndim != 1 or (codes.size and codes.dtype.kind not in "iub"):
        raise InputError(
            f"{name} of Predictions must be a one-dimensional array of integer class codes; got {codes.dtype} of shape "
            f"{codes.shape}. Hint: give each class's position in labels."
        )
    if codes.size and (codes.min() < 0 or codes.max() >= len(labels)):
        raise InputError(
            f"{name} of Predictions must be codes from 0 to {len(labels) - 1}, the positions in labels {labels!r}; "
            f"got {codes.min()} to {codes.max()}."
        )
    return _frozen(codes.astype(np.int64, copy=False))
