"""Which columns are features, of which kind, and how they look to scikit-learn; never looks at the target's values.

Every number becomes float64 and everything else a string or a missing value, in training as in prediction, so that a
column of integers that meets its first null, or arrives as text from one source and dictionary-coded from another, is
still the same feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import FeatureKind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# A text column in which most values are distinct names rows, not properties of them.
IDENTIFIER_SHARE = 0.9
IDENTIFIER_MIN_DISTINCT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The feature columns of a model, in order, and what was left out.

    Parameters
    ----------
    kinds : mapping of str to {"numeric", "categorical"}
        Feature column to its kind.
    dropped : mapping of str to str
        Column left out to the reason.
    """

    kinds: Mapping[str, FeatureKind]
    dropped: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Feature columns in the order the model sees them."""
        return list(self.kinds)

    def of_kind(self, kind: FeatureKind) -> list[str]:
        """Feature columns of one kind."""
        return [name for name, its in self.kinds.items() if its == kind]


def choose_features(
    table: pa.Table, *, target: str, features: Sequence[str] | None, drop: Sequence[str], keys: Sequence[str] = ()
) -> Features:
    """Decide which columns of the training rows are features, and of which kind.

    Parameters
    ----------
    table : pyarrow.Table
        Training rows with all columns.
    target : str
        Column to predict.
    features : sequence of str or None
        Columns to use; None takes all but the target and `drop`.
    drop : sequence of str
        Columns not to use.
    keys : sequence of str
        Columns by which rows are put on their sides. They name rows, groups or moments that held-out rows do not
        share, so they are left out unless `features` names them.

    Returns
    -------
    Features
        Columns that are all null, constant or (when not asked for by name) look like row identifiers are dropped,
        with the reason.

    Raises
    ------
    InputError
        A named column is missing, the target is named as a feature, a date or time is among the features, or no
        feature is left.
    """
    present = table.column_names
    for name in (*(features or ()), *drop):
        if name not in present:
            raise InputError(f"Column {name!r} is not in the data. Hint: the columns are {', '.join(present)}.")
    if target in (features or ()):
        raise InputError(f"The target {target!r} must not be among the features: the model would read the answer.")
    kinds: dict[str, FeatureKind] = {}
    dropped: dict[str, str] = {}
    for name in features if features is not None else present:
        if name == target:
            continue
        if name in drop:
            dropped[name] = "not wanted"
            continue
        if name in keys and features is None:
            dropped[name] = "rows are split by it"
            continue
        kind = _kind(table.schema.field(name))
        reason = _useless(table.column(name), kind=kind, asked=features is not None)
        if reason:
            dropped[name] = reason
        else:
            kinds[name] = kind
    if not kinds:
        raise InputError(f"No feature is left beside the target {target!r}: {dropped}.")
    return Features(kinds=kinds, dropped=dropped)


def _kind(field: pa.Field) -> FeatureKind:
    import pyarrow.types as t

    type_ = field.type.value_type if t.is_dictionary(field.type) else field.type
    if t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_) or t.is_boolean(type_) or t.is_null(type_):
        return "numeric"
    if t.is_string(type_) or t.is_large_string(type_):
        return "categorical"
    raise InputError(
        f"Column {field.name!r} of type {field.type} cannot be a feature. "
        "Hint: turn it into numbers (such as days since an event) before training, or put it into drop_columns."
    )


def _useless(column: pa.ChunkedArray, *, kind: FeatureKind, asked: bool) -> str | None:
    import pyarrow.compute as pc
    import pyarrow.types as t

    rows = len(column)
    column = _plain(column)
    if t.is_floating(column.type):
        # Arrow finds no least value of half floats.
        column = column.cast("float64")
        column = pc.drop_null(pc.if_else(pc.is_nan(column), None, column))
    valid = len(column) - column.null_count
    if valid == 0:
        return "all values are null"
    if kind == "numeric":
        # Counting distinct numbers takes ten times as long.
        bounds = pc.min_max(column).as_py()
        return "one value only" if bounds["min"] == bounds["max"] and valid == rows else None
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    if distinct == 1 and valid == rows:
        return "one value only"
    if not asked and distinct >= IDENTIFIER_MIN_DISTINCT and distinct > IDENTIFIER_SHARE * valid:
        return f"looks like a row identifier ({distinct} distinct texts in {valid} rows)"
    return None


def to_frame(table: pa.Table, *, kinds: Mapping[str, FeatureKind]) -> pd.DataFrame:
    """Return the features as scikit-learn sees them.

    Parameters
    ----------
    table : pyarrow.Table
        Rows with at least the feature columns.
    kinds : mapping of str to {"numeric", "categorical"}
        Feature column to its kind.

    Returns
    -------
    pandas.DataFrame
        One float64 column for each numeric feature and one object column of str for each categorical one, NaN where
        missing, in the order of `kinds`. The same under any version of pandas.

    Raises
    ------
    InputError
        A feature is missing, cannot be read as its kind, or holds an infinite number.
    """
    import pandas as pd

    missing = [name for name in kinds if name not in table.column_names]
    if missing:
        raise InputError(
            f"The data lack the feature columns {missing}. Hint: the model was trained on {', '.join(kinds)}."
        )
    return pd.DataFrame(
        {
            name: _numbers(name, table.column(name)) if kind == "numeric" else _texts(table.column(name))
            for name, kind in kinds.items()
        }
    )


def _numbers(name: str, column: pa.ChunkedArray) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as t

    column = _plain(column)
    if t.is_boolean(column.type):
        column = column.cast(pa.int8())
    try:
        values: Any = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"Feature {name!r} is numeric to the model, but the data hold {column.type} that is no number: {error}."
        ) from error
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise InputError(f"Feature {name!r} holds {infinite} infinite values. Hint: make them null, or finite.")
    return values


def _texts(column: pa.ChunkedArray) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    # Numbers under a categorical name become their text, booleans "true" and "false".
    texts: Any = _plain(column).cast(pa.string()).to_numpy(zero_copy_only=False)
    if column.null_count:
        texts = np.where(pd.isna(texts), np.nan, texts)
    return pd.Series(texts, dtype=object)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.types as t

    return column.cast(column.type.value_type) if t.is_dictionary(column.type) else column
