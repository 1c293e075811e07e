from __future__ import annotations

import decimal
import string

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.training.columns import choose_features, to_frame


def chosen(columns: dict, **arguments):
    settings = {"target": "y", "features": None, "drop": ()} | arguments
    return choose_features(pa.table({"y": [0, 1] * (len(next(iter(columns.values()))) // 2), **columns}), **settings)


def test_numbers_and_booleans_are_numeric_and_text_is_categorical() -> None:
    features = chosen(
        {
            "age": [1, 2, 3, 4],
            "paid": [True, False, None, True],
            "price": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("2.00"), None]),
            "plan": ["a", "b", None, "a"],
            "coded": pa.array(["x", "y", "x", "y"]).dictionary_encode(),
            "level": pa.array([1, 2, 1, 2]).dictionary_encode(),
            "half": pa.array(np.array([0.5, 1.5, 2.5, 3.5], dtype=np.float16)),
        }
    )
    assert dict(features.kinds) == {
        "age": "numeric",
        "paid": "numeric",
        "price": "numeric",
        "plan": "categorical",
        "coded": "categorical",
        "level": "numeric",
        "half": "numeric",
    }
    assert features.dropped == {}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, None, None, None], "all values are null"),
        (pa.array([float("nan")] * 4), "all values are null"),
        (pa.array([float("nan"), None, None, None], from_pandas=False), "all values are null"),
        ([7, 7, 7, 7], "one value only"),
        (["a", "a", "a", "a"], "one value only"),
    ],
)
def test_a_column_without_information_is_left_out_with_the_reason(values: object, reason: str) -> None:
    features = chosen({"x": [1, 2, 3, 4], "useless": values})
    assert features.dropped == {"useless": reason}


def test_a_constant_with_gaps_is_kept_because_the_gaps_may_tell_something() -> None:
    assert "x" in chosen({"x": [1, None, 1, None]}).kinds


def test_texts_that_name_rows_are_left_out_unless_asked_for() -> None:
    columns = {"x": list(range(100)), "customer": [f"c{i}" for i in range(100)]}
    assert "row identifier (100 distinct texts in 100 rows)" in chosen(columns).dropped["customer"]
    assert chosen(columns, features=["customer"]).kinds == {"customer": "categorical"}


def test_texts_of_few_rows_or_with_repetition_are_no_identifiers() -> None:
    assert chosen({"few": [f"c{i}" for i in range(48)]}).kinds
    assert chosen({"repeated": [f"c{i % 85}" for i in range(100)]}).kinds


def test_columns_by_which_rows_are_split_are_left_out_unless_asked_for() -> None:
    columns = {"x": [1, 2, 3, 4], "customer_id": [11, 12, 13, 14], "day": pa.array([1, 2, 3, 4], pa.date32())}
    features = chosen(columns, keys=["customer_id", "day"])
    assert list(features.kinds) == ["x"]
    assert features.dropped == {"customer_id": "rows are split by it", "day": "rows are split by it"}
    assert list(chosen(columns, keys=["customer_id"], features=["customer_id"]).kinds) == ["customer_id"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": ["age"]}, "Column 'age' is not in the data"),
        ({"drop": ["age"]}, "Column 'age' is not in the data"),
        ({"features": ["x", "y"]}, "must not be among the features"),
        ({"drop": ["x"]}, "No feature is left beside the target 'y'"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen({"x": [1, 2, 3, 4]}, **arguments)


def test_a_date_is_no_feature_and_the_message_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"'since' of type date32\[day\] cannot be a feature.*days since"):
        chosen({"since": pa.array([1, 2, 3, 4], pa.date32())})


def test_the_same_values_look_the_same_to_the_model_however_they_are_stored() -> None:
    kinds = {"n": "numeric", "c": "categorical"}
    plain = pa.table({"n": pa.array([1.0, 0.0, None]), "c": pa.array(["a", None, "b"])})
    others = [
        pa.table({"c": pa.array(["a", None, "b"], pa.large_string()), "n": pa.array([1, 0, None], pa.int8())}),
        pa.table({"n": [True, False, None], "c": pa.array(["a", None, "b"]).dictionary_encode()}),
        pa.table({"n": pa.array(["1", "0.0", None]), "c": pa.array(["a", None, "b"])}),
        pa.table({"n": pa.array([1, 0, None], pa.decimal128(5, 2)), "c": pa.array(["a", None, "b"])}),
        pa.concat_tables([plain.slice(0, 1), plain.slice(1)]),
    ]
    frame = to_frame(plain, kinds=kinds)
    assert [str(one) for one in frame.dtypes] == ["float64", "object"]
    assert frame["c"].tolist()[0] == "a"
    # One kind of missing value for every source and every version of pandas.
    assert isinstance(frame["c"].tolist()[1], float)
    for other in others:
        pd.testing.assert_frame_equal(to_frame(other, kinds=kinds), frame)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_infinity=False)),
            st.one_of(st.none(), st.text(string.printable, max_size=5)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_values_survive_the_way_to_the_model(rows: list[tuple[float | None, str | None]]) -> None:
    table = pa.table(
        {"n": pa.array([n for n, _ in rows], pa.float64()), "c": pa.array([c for _, c in rows], pa.string())}
    )
    frame = to_frame(table, kinds={"n": "numeric", "c": "categorical"})
    np.testing.assert_array_equal(
        frame["n"].to_numpy(), np.array([float("nan") if n is None else n for n, _ in rows], dtype=float)
    )
    assert [None if isinstance(c, float) else c for c in frame["c"]] == [c for _, c in rows]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1.0, float("inf"), float("-inf")]), "'n' holds 2 infinite values"),
        (pa.array(["1", "two", "3"]), "'n' is numeric to the model, but the data hold string"),
        (pa.array([1, 2, 3], pa.date32()), "'n' is numeric to the model, but the data hold date32"),
    ],
)
def test_a_feature_that_is_no_number_is_refused_by_name(column: pa.Array, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        to_frame(pa.table({"n": column}), kinds={"n": "numeric"})


def test_missing_feature_columns_are_named() -> None:
    with pytest.raises(InputError, match=r"lack the feature columns \['b'\]. Hint: the model was trained on a, b"):
        to_frame(pa.table({"a": [1]}), kinds={"a": "numeric", "b": "numeric"})
