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
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.types as t

    if column.null_count:
        raise InputError(
            f"Target {name!r} is null in {column.null_count} of {len(column)} rows. "
            "Hint: drop these rows before training, or wait until their labels are known."
        )
    if t.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (t.is_string(column.type) or t.is_large_string(column.type) or _is_number(column.type)):
        raise InputError(f"Target {name!r} must be text, numbers or booleans; got {column.type}.")
    distinct = pc.count_distinct(column).as_py()
    if distinct < 2:
        raise InputError(
            f"Target {name!r} has one value only ({column[0].as_py()!r}): nothing can be learned or judged."
        )
    decided = task or _decide(column, distinct)
    if decided == "regression":
        if not _is_number(column.type):
            raise InputError(f"Target {name!r} of type {column.type} cannot be the target of a regression.")
        values = column.cast("float64").to_numpy()
        if not np.isfinite(values).all():
            raise InputError(f"Target {name!r} holds {int((~np.isfinite(values)).sum())} values that are not finite.")
        return Target(task=decided, values=values, classes=())
    return _classes(column, name=name, task=decided, distinct=distinct, positive_class=positive_class)


def _classes(column: pa.ChunkedArray, *, name: str, task: Task, distinct: int, positive_class: Any) -> Target:
    import numpy as np
    import pyarrow.types as t

    if distinct > MAX_CLASSES:
        raise InputError(f"Target {name!r} has {distinct} classes, more than {MAX_CLASSES}. Hint: task='regression'?")
    if t.is_floating(column.type) or t.is_decimal(column.type):
        numbers = column.cast("float64").to_numpy()
        if not np.array_equal(numbers, np.floor(numbers)):
            raise InputError(f"Target {name!r} holds fractions, which are no classes. Hint: task='regression'.")
        values: Any = numbers.astype("int64")
    elif t.is_boolean(column.type) or t.is_integer(column.type):
        values = column.to_numpy()
    else:
        values = np.array(column.to_pylist(), dtype=object)
    classes = sorted(set(values.tolist()))
    if task == "binary" and len(classes) != 2:
        raise InputError(f"Target {name!r} has {len(classes)} classes, so it is not binary: {classes[:10]}.")
    if positive_class is not None:
        if task != "binary" or positive_class not in classes:
            raise InputError(f"positive_class {positive_class!r} is not one of the two classes {classes[:10]}.")
        classes.sort(key=lambda one: one == positive_class)
    return Target(task=task, values=values, classes=tuple(classes))


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

    code = {one: number for number, one in enumerate(classes)}
    unknown = sorted({str(one) for one in values.tolist() if one not in code})
    if unknown:
        raise InputError(
            f"Target {name!r} holds classes the model was not trained on: {unknown[:10]}; "
            f"it knows {list(classes)[:10]}."
        )
    return np.fromiter((code[one] for one in values.tolist()), dtype=np.int64, count=len(values))
