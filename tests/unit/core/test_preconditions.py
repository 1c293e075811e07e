from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.preconditions import ColumnFacts, PreconditionPolicy, TableFacts, check

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def column(name: str = "a", *, kind: Any = "number", missing: int = 0) -> ColumnFacts:
    return ColumnFacts(name=name, kind=kind, type_name=kind, missing=missing)


def facts(**changes: Any) -> TableFacts:
    return TableFacts(**{"rows": 100, "columns": (column(),), **changes})


def checks(table: TableFacts, **policy: Any) -> list[tuple[str, str | None]]:
    return [(finding.check, finding.column) for finding in check(table, PreconditionPolicy(**policy), now=NOW)]


def test_a_complete_table_has_no_finding() -> None:
    assert checks(facts()) == []


def test_an_empty_table_is_a_finding_whatever_else_holds() -> None:
    assert checks(facts(rows=0)) == [("min_rows", None)]


@given(rows=st.integers(0, 10**9), least=st.integers(1, 10**9))
def test_fewer_rows_than_asked_are_a_finding_and_as_many_are_none(rows: int, least: int) -> None:
    found = checks(facts(rows=rows, columns=()), min_rows=least)
    assert found == ([("min_rows", None)] if rows < least else [])


@pytest.mark.parametrize(("missing", "found"), [(5, False), (6, True), (100, True)])
def test_the_missing_share_may_reach_its_limit_and_not_pass_it(missing: int, found: bool) -> None:
    assert checks(facts(columns=(column(missing=missing),))) == ([("missing_share", "a")] if found else [])


def test_a_column_without_values_is_a_finding_even_when_all_may_be_missing() -> None:
    (finding,) = check(facts(columns=(column(missing=100),)), PreconditionPolicy(max_missing_share=1.0), now=NOW)
    assert finding.message == "column 'a' has no value at all"


def test_columns_have_limits_of_their_own_and_the_star_is_for_the_rest() -> None:
    table = facts(columns=(column("a", missing=30), column("b", missing=30), column("c", missing=10)))
    assert checks(table, max_missing_share={"a": 0.3}) == [("missing_share", "b"), ("missing_share", "c")]
    assert checks(table, max_missing_share={"a": 0.3, "*": 0.1}) == [("missing_share", "b")]


@pytest.mark.parametrize(
    "policy", [{"required_columns": {"z": None}}, {"unique": ("z",)}, {"max_missing_share": {"z": 0.1}}]
)
def test_every_column_that_a_rule_names_has_to_be_there(policy: dict[str, Any]) -> None:
    assert checks(facts(), **policy) == [("required_columns", "z")]


@pytest.mark.parametrize(
    ("kind", "required", "fits"),
    [
        ("integer", "number", True),
        ("number", "integer", False),
        ("boolean", "integer", False),
        ("string", "datetime", False),
        ("datetime", "datetime", True),
        ("other", "string", False),
    ],
)
def test_types_are_compared_by_kind(kind: Any, required: Any, fits: bool) -> None:
    found = checks(facts(columns=(column(kind=kind),)), required_columns={"a": required})
    assert found == ([] if fits else [("column_types", "a")])


def test_the_type_of_a_column_without_values_is_not_judged_twice() -> None:
    table = facts(columns=(column(kind="null", missing=100),))
    assert checks(table, required_columns={"a": "string"}) == [("missing_share", "a")]


def test_repeated_keys_and_nulls_in_keys_are_two_findings() -> None:
    found = check(facts(duplicate_keys=3, null_keys=2), PreconditionPolicy(unique=("a",)), now=NOW)
    assert [(finding.check, finding.observed) for finding in found] == [("unique", 2), ("unique", 3)]


@pytest.mark.parametrize(("seconds", "found"), [(0, []), (3600, []), (3601, [("max_age", "t")])])
def test_data_may_reach_the_largest_age_and_not_pass_it(seconds: int, found: list[Any]) -> None:
    table = facts(columns=(column("t", kind="datetime"),), newest=NOW - timedelta(seconds=seconds))
    assert checks(table, timestamp_column="t", max_age=timedelta(hours=1)) == found


def test_age_is_the_same_in_every_time_zone() -> None:
    there = (NOW - timedelta(hours=2)).astimezone(timezone(timedelta(hours=9)))
    assert checks(facts(newest=there), max_age=timedelta(hours=1)) == [("max_age", None)]
    assert checks(facts(newest=there), max_age=timedelta(hours=3)) == []


def test_a_time_in_the_future_is_a_finding_beyond_the_tolerance_of_clocks() -> None:
    columns = (column("t", kind="datetime"),)
    soon, later = NOW + timedelta(minutes=4), NOW + timedelta(minutes=6)
    assert checks(facts(columns=columns, newest=soon), timestamp_column="t") == []
    assert checks(facts(columns=columns, newest=later), timestamp_column="t") == [("not_in_future", "t")]


def test_an_unknown_age_is_a_finding() -> None:
    assert checks(facts(newest=None), max_age=timedelta(days=1)) == [("max_age", None)]


def test_a_time_without_zone_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match="Hint: set timestamp_timezone"):
        check(facts(newest=datetime(2026, 1, 1)), PreconditionPolicy(max_age=timedelta(1)), now=NOW)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_rows": 0}, "min_rows must be an integer of at least 1; got 0"),
        ({"min_rows": True}, "min_rows must be an integer"),
        ({"max_missing_share": 5}, r"share in \[0, 1\]; got 5"),
        ({"max_missing_share": float("nan")}, "share in"),
        ({"max_missing_share": {"a": -0.1}}, "for column 'a'"),
        ({"max_age": timedelta(0)}, "positive timedelta"),
        ({"max_age": 5}, "positive timedelta; got 5"),
        ({"unique": ("a", "a")}, "each column once"),
        ({"required_columns": {"a": "int"}}, "one of integer, number, string, boolean, datetime; got 'int'"),
        ({"timestamp_timezone": "UTC"}, "without timestamp_column"),
    ],
)
def test_a_setting_outside_its_domain_is_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PreconditionPolicy(**setting)


def test_each_finding_belongs_to_a_listed_rule_and_is_plain_json() -> None:
    policy = PreconditionPolicy(
        min_rows=1000,
        unique=("a",),
        required_columns={"a": "string", "z": None},
        timestamp_column="t",
        max_age=timedelta(days=1),
    )
    table = facts(
        columns=(column(missing=50), column("t")), duplicate_keys=1, null_keys=1, newest=NOW - timedelta(days=2)
    )
    found = check(table, policy, now=NOW)
    assert {finding.check for finding in found} == set(policy.requirements()) - {"not_in_future"}
    assert json.loads(json.dumps([finding.to_dict() for finding in found]))[0]["limit"] == 1000
