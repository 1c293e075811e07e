"""Arrow to pandas at the border to scikit-learn and Great Expectations; must never change what a value means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops_provider.data.types import is_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the table as pandas, in types that scikit-learn takes.

    Parameters
    ----------
    table : pyarrow.Table
        Any columns.

    Returns
    -------
    pandas.DataFrame
        As ``DataSource.to_pandas`` describes, with a range index.

    Examples
    --------
    >>> import pyarrow as pa
    >>> to_frame(pa.table({"n": [1, 2], "paid": [True, None]})).dtypes.astype(str).to_dict()
    {'n': 'int64', 'paid': 'float64'}
    """
    import pyarrow as pa

    columns = [_for_pandas(column) for column in table.columns]
    plain = pa.Table.from_arrays(columns, names=table.column_names)
    frame: pd.DataFrame = plain.to_pandas(date_as_object=False, ignore_metadata=True)
    return frame


def _for_pandas(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column the type whose pandas form is wanted; pandas would make Python objects of these."""
    import pyarrow as pa
    import pyarrow.types as types

    kind = column.type
    if types.is_dictionary(kind):
        return _for_pandas(column.cast(kind.value_type))
    if types.is_null(kind):
        return column.cast(pa.float64())
    if types.is_boolean(kind) and column.null_count:
        return column.cast(pa.uint8()).cast(pa.float64())
    if types.is_decimal(kind):
        # By text, because the direct cast is one unit in the last place off for some values.
        return column.cast(pa.string()).cast(pa.float64())
    if types.is_time(kind) or (is_text(kind) and kind != pa.large_string()):
        return column.cast(pa.large_string())
    return column
