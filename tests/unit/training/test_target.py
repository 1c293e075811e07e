from __future__ import annotations

import decimal

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.training.target import encode, read_target, true_values


def read(values: object, **arguments):
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return read_target(pa.chunked_array([column]), name="y", task=None, **arguments)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["No", "Yes", "No"], "binary", ("No", "Yes")),
        ([0, 1, 1], "binary", (0, 1)),
        ([True, False, True], "binary", (False, True)),
        ([0.0, 1.0, 0.0], "binary", (0, 1)),
        (["a", "b", "c"], "multiclass", ("a", "b", "c")),
        (list(range(20)), "multiclass", tuple(range(20))),
        (list(range(21)), "regression", ()),
        ([0.5, 1.0, 2.0], "regression", ()),
        ([decimal.Decimal("1.5"), decimal.Decimal("2.5"), decimal.Decimal("3.5")], "regression", ()),
        (pa.array(["No", "Yes"]).dictionary_encode(), "binary", ("No", "Yes")),
        (pa.array(["No", "Yes"], pa.large_string()), "binary", ("No", "Yes")),
    ],
)
def test_the_task_is_told_from_the_values(values: object, task: str, classes: tuple) -> None:
    target = read(values)
    assert (target.task, target.classes) == (task, classes)
    assert [type(one) for one in target.classes] == [type(one) for one in classes]


def test_the_positive_class_comes_second() -> None:
    assert read(["good", "bad", "bad"]).classes == ("bad", "good")
    assert read(["good", "bad", "bad"], positive_class="bad").classes == ("good", "bad")


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        (["a", None, "b"], {}, "'y' is null in 1 of 3 rows"),
        ([1.0, float("nan"), float("nan")], {}, "'y' is null in 2 of 3 rows"),
        (["a", "a"], {}, r"'y' has one value only \('a'\)"),
        (pa.array([1, 2], pa.date32()), {}, r"must be text, numbers or booleans; got date32"),
        ([1.0, float("inf"), 2.5], {}, "'y' holds 1 values that are not finite"),
        ([f"c{i}" for i in range(1001)], {}, "1001 classes, more than 1000"),
        (["a", "b"], {"positive_class": "c"}, "positive_class 'c' must be one of the two classes of target 'y'"),
        (["a", "b", "c"], {"positive_class": "c"}, "positive_class 'c' must be one of the two"),
        ([0, 1], {"positive_class": "1"}, "positive_class '1' must be one of the two"),
    ],
)
def test_a_target_from_which_nothing_can_be_learned_is_refused(values: object, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(values, **arguments)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a", "b", "c"], "binary", "3 classes, so it is not binary"),
        (["a", "b"], "multiclass", "so it is not multiclass. Hint: task='binary'"),
        (["a", "b"], "regression", "cannot be the target of a regression"),
        ([0.5, 1.5], "binary", "holds fractions, which are no classes. Hint: task='regression'"),
    ],
)
def test_values_that_do_not_fit_the_wanted_task_are_refused(values: list, task: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_target(pa.chunked_array([pa.array(values)]), name="y", task=task)


def test_whole_numbers_beyond_exact_floats_and_booleans_can_be_regressed() -> None:
    big = pa.chunked_array([pa.array([2**53 + 1, 3])])
    assert read_target(big, name="y", task="regression").values.tolist() == [float(2**53), 3.0]
    flags = pa.chunked_array([pa.array([True, False])])
    assert read_target(flags, name="y", task="regression").values.tolist() == [1.0, 0.0]


def test_one_row_or_one_class_can_still_be_judged() -> None:
    assert true_values(pa.chunked_array([pa.array(["Yes"])]), name="y", task="binary").tolist() == ["Yes"]
    assert true_values(pa.chunked_array([pa.array([1.5])]), name="y", task="regression").tolist() == [1.5]
    with pytest.raises(InputError, match="null in 1 of 1 rows"):
        true_values(pa.chunked_array([pa.array([None], pa.string())]), name="y", task="binary")


def test_codes_follow_the_order_of_the_classes_and_a_strange_class_is_named() -> None:
    target = read(["b", "a", "b"], positive_class="a")
    assert encode(target.values, classes=target.classes, name="y").tolist() == [0, 1, 0]
    with pytest.raises(InputError, match=r"classes the model was not trained on: \['c'\]; it knows \['b', 'a'\]"):
        encode(read(["a", "c"]).values, classes=target.classes, name="y")
