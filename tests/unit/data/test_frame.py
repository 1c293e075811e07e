"""The pandas frame holds the values of the table in types that scikit-learn takes."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.impute import SimpleImputer

from airflow_mlops_provider.data.frame import to_frame

CASES = {
    "integers": (pa.array([1, 2]), pd.Series([1, 2], dtype="int64")),
    "small integers": (pa.array([1, 2], pa.int8()), pd.Series([1, 2], dtype="int8")),
    "integers with nulls": (pa.array([1, None]), pd.Series([1.0, np.nan])),
    "booleans": (pa.array([True, False]), pd.Series([True, False])),
    "booleans with nulls": (pa.array([True, None, False]), pd.Series([1.0, np.nan, 0.0])),
    "text": (pa.array(["a", None]), pd.Series(["a", None], dtype="str")),
    "dictionaries": (pa.array(["a", None, "a"]).dictionary_encode(), pd.Series(["a", None, "a"], dtype="str")),
    "numeric dictionaries": (pa.array([3, None]).dictionary_encode(), pd.Series([3.0, np.nan])),
    "decimals": (pa.array([Decimal("29.85"), None]), pd.Series([29.85, np.nan])),
    "dates": (pa.array([date(2024, 5, 6), None]), pd.Series(pd.to_datetime(["2024-05-06", None]))),
    "far dates": (pa.array([datetime(9999, 1, 1)]), pd.Series([datetime(9999, 1, 1)])),
    "instants": (pa.array([datetime(2024, 5, 6, tzinfo=UTC)]), pd.Series(pd.to_datetime(["2024-05-06"], utc=True))),
    "times": (pa.array([time(1, 2, 3)], pa.time32("s")), pd.Series(["01:02:03"], dtype="str")),
    "nulls": (pa.nulls(2), pd.Series([np.nan, np.nan])),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_column_becomes_the_expected_series(case: str) -> None:
    array, expected = CASES[case]
    column = to_frame(pa.table({"x": array}))["x"]
    assert column.dtype.kind == expected.dtype.kind
    if expected.dtype.kind == "M":
        # The resolution of times is pandas' own matter, their kind and values are not.
        column = column.astype(expected.dtype)
    pd.testing.assert_series_equal(column, expected, check_names=False)


def test_decimals_become_the_nearest_doubles() -> None:
    prices = [Decimal(cents).scaleb(-2) for cents in range(10_000)]
    assert to_frame(pa.table({"x": prices}))["x"].tolist() == [float(price) for price in prices]


def test_an_index_that_pandas_left_in_the_metadata_is_not_restored() -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="key")))
    assert list(to_frame(table).columns) == ["x", "key"]


def test_the_numbers_can_be_imputed_by_scikit_learn() -> None:
    names = ("integers with nulls", "booleans with nulls", "decimals")
    frame = to_frame(pa.table({name: CASES[name][0][:2] for name in names}))
    assert np.isfinite(SimpleImputer().fit_transform(frame)).all()
