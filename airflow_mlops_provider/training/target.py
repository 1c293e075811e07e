"""What is to be predicted: kind of task, class labels, codes; refuses targets from which nothing can be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Whole numbers with more distinct values than this are a quantity, not classes.
MAX_INTEGER_CLASSES = 20
MAX_CLASSES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target of a data set.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        Kind of prediction.
    values : array, shape (n_rows,)
        As scikit-learn is given them: float64 for regression, str, int or bool for classes.
    classes : tuple
        Sorted distinct values of a classification; for binary the second is the positive class. () for regression.
    """

    task: Task
    values: np.ndarray
    classes: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in code order."""
        return tuple(str(one) for one in self.classes)


def read_target(column: pa.ChunkedArray, *, name: str, task: Task | None, positive_class: Any = None) -> Target:
    """Turn the target column into what scikit-learn learns from.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Values of the target.
    name : str
        Its name, for messages.
    task : {"binary", "multiclass", "regression"} or None
        None decides: floats with fractions, and integers with more than 20 distinct values, are regression; two
        distinct values are binary; otherwise multiclass.
    positive_class : scalar, optional
        Binary only: which class is the positive one; default the greater of the two in sort order.

    Raises
    ------
    InputError
        Nulls, infinite numbers, one value only, too many classes, or values that do not fit `task`.
    """
    import pyarrow.compute as pc

    column = _labelled(column, name)
    distinct = pc.count_distinct(column).as_py()
    if distinct < 2:
        raise InputError(
            f"Target {name!r} has one value only ({column[0].as_py()!r}): nothing can be learned or judged."
        )
    decided = task or _decide(column, distinct)
    if decided == "regression":
        return Target(task=decided, values=_quantities(column, name), classes=())
    if distinct > MAX_CLASSES:
        raise InputError(f"Target {name!r} has {distinct} classes, more than {MAX_CLASSES}. Hint: task='regression'?")
    values = _classes(column, name)
    return Target(task=decided, values=values, classes=_in_order(values, name, decided, positive_class))


def true_values(column: pa.ChunkedArray, *, name: str, task: Task) -> np.ndarray:
    """Return the true values of rows that are to be judged, of which there may be as few as one.

    Raises
    ------
    InputError
        As :func:`read_target`, apart from what only training needs.
    """
    column = _labelled(column, name)
    return _quantities(column, name) if task == "regression" else _classes(column, name)


def _labelled(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return the column without dictionary; refuses missing labels and types that are none."""
    import pyarrow.compute as pc
    import pyarrow.types as t

    if t.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    missing = pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0
    if missing:
        raise InputError(
            f"Target {name!r} is null in {missing} of {len(column)} rows. "
            "Hint: leave these rows out, or wait until their labels are known."
        )
    if not (t.is_string(column.type) or t.is_large_string(column.type) or _is_number(column.type)):
        raise InputError(f"Target {name!r} must be text, numbers or booleans; got {column.type}.")
    return column


def _quantities(column: pa.ChunkedArray, name: str) -> np.ndarray:
    import numpy as np

    if not _is_number(column.type):
        raise InputError(f"Target {name!r} of type {column.type} cannot be the target of a regression.")
    values: np.ndarray = column.cast("float64", safe=False).to_numpy()
    infinite = int((~np.isfinite(values)).sum())
    if infinite:
        raise InputError(f"Target {name!r} holds {infinite} values that are not finite.")
    return values


def _classes(column: pa.ChunkedArray, name: str) -> np.ndarray:
    import numpy as np
    import pyarrow.types as t

    if t.is_floating(column.type) or t.is_decimal(column.type):
        numbers: np.ndarray = column.cast("float64", safe=False).to_numpy()
        if not np.array_equal(numbers, np.floor(numbers)):
            raise InputError(f"Target {name!r} holds fractions, which are no classes. Hint: task='regression'.")
        return numbers.astype("int64")
    if t.is_boolean(column.type) or t.is_integer(column.type):
        values: np.ndarray = column.to_numpy()
        return values
    return np.array(column.to_pylist(), dtype=object)


def _in_order(values: np.ndarray, name: str, task: Task, positive_class: Any) -> tuple[Any, ...]:
    """Return the classes sorted, the positive one last."""
    classes = sorted(set(values.tolist()))
    if task == "binary" and len(classes) != 2:
        raise InputError(f"Target {name!r} has {len(classes)} classes, so it is not binary: {classes[:10]}.")
    if task == "multiclass" and len(classes) < 3:
        raise InputError(f"Target {name!r} has 2 classes {classes}, so it is not multiclass. Hint: task='binary'.")
    if positive_class is not None:
        if task != "binary" or positive_class not in classes:
            raise InputError(
                f"positive_class {positive_class!r} must be one of the two classes of target {name!r}, "
                f"which has {classes[:10]}."
            )
        classes.sort(key=lambda one: one == positive_class)
    return tuple(classes)


def _is_number(type_: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_) or t.is_boolean(type_))


def _decide(column: pa.ChunkedArray, distinct: int) -> Task:
    import pyarrow.types as t

    if distinct == 2:
        return "binary"
    if t.is_floating(column.type) or t.is_decimal(column.type):
        return "regression"
    if t.is_integer(column.type) and distinct > MAX_INTEGER_CLASSES:
        return "regression"
    return "multiclass"


def encode(values: np.ndarray, *, classes: Sequence[Any], name: str) -> np.ndarray:
    """Return class codes 0..K-1 in the order of `classes`; refuses a class the model does not know."""
    import numpy as np
    import pandas as pd

    codes: np.ndarray = pd.Index(list(classes), dtype=object).get_indexer(np.asarray(values, dtype=object))
    if (codes < 0).any():
        unknown = sorted({str(one) for one in np.asarray(values)[codes < 0].tolist()})
        raise InputError(
            f"Target {name!r} holds classes the model was not trained on: {unknown[:10]}; "
            f"it knows {list(classes)[:10]}."
        )
    return codes.astype(np.int64, copy=False)
