from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.validation.suites import load_suite

BETWEEN = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": 1}}


def between() -> Any:
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    return ExpectColumnValuesToBeBetween(column="a", min_value=1, severity="info")


def suite_object() -> Any:
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name="a suite", expectations=[between()])


def described(source: Any) -> list[tuple[str, Any, str]]:
    return [(one.type, one.kwargs["min_value"], one.severity.value) for one in load_suite(source)]


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ([BETWEEN], "critical"),
        ([{**BETWEEN, "severity": "warning"}], "warning"),
        ([between()], "info"),
        (suite_object(), "info"),
        (suite_object, "info"),
        (lambda: [between()], "info"),
    ],
)
def test_a_suite_comes_as_dicts_objects_or_a_callable(source: Any, severity: str) -> None:
    assert described(source) == [("expect_column_values_to_be_between", 1, severity)]


def test_a_suite_that_great_expectations_wrote_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(suite_object().to_json_dict()))
    assert described(str(path)) == described(path) == [("expect_column_values_to_be_between", 1, "info")]


def test_expectations_keep_their_order() -> None:
    entries = [{**BETWEEN, "kwargs": {"column": "a", "min_value": number}} for number in range(5)]
    assert [value for _, value, _ in described(entries)] == list(range(5))


def test_the_suite_does_not_decide_what_leaves_the_worker() -> None:
    (one,) = load_suite([{**BETWEEN, "kwargs": {**BETWEEN["kwargs"], "result_format": "COMPLETE"}}])
    assert "result_format" not in one.kwargs


@pytest.mark.parametrize("source", [[], list, {"name": "x"}, None, 5])
def test_an_empty_suite_and_what_is_no_suite_are_refused(source: Any) -> None:
    with pytest.raises(InputError, match=r"at least one expectation|must be a list of expectations"):
        load_suite(source)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "expect_miracles", "kwargs": {}}, "knows no 'expect_miracles'"),
        ({**BETWEEN, "kwargs": {"column": "a", "min_valu": 1}}, "refuses its settings.*min_valu extra fields"),
        ({**BETWEEN, "kwargs": {"min_value": 1}}, "column field required"),
        ({**BETWEEN, "severity": "fatal"}, "Invalid severity 'fatal'"),
        ({**BETWEEN, "kwargs": None}, "must have 'type'"),
        ({**BETWEEN, "comment": "x"}, "must have 'type'"),
        ({"kwargs": {}}, "must have 'type'"),
        ({"expectation_type": "x", "kwargs": {}}, "before 1.0"),
        ("expect_column_to_exist", "must be a mapping or an Expectation; got str"),
    ],
)
def test_a_wrong_expectation_is_refused_with_its_number(entry: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"Expectation 2 of the suite.*{message}"):
        load_suite([BETWEEN, entry])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1]", "must hold an object with 'expectations'"),
        (b'{"name": "s", "expectations": []}', "at least one expectation"),
    ],
)
def test_a_suite_file_that_is_no_suite_is_refused_by_name(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "suite.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"suite.json.*{message}"):
        load_suite(str(path))
