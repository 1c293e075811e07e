from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.preconditions import PreconditionPolicy
from airflow_mlops_provider.data.table_files import open_files
from airflow_mlops_provider.validation.suites import load_suite
from airflow_mlops_provider.validation.validate import validate_query, validate_table

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUITE = [{"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "max_value": 2}}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("a,t\n1,2026-01-01T00:00:00Z\n2,2026-02-01T00:00:00Z\n")
    return path


@pytest.mark.parametrize(("hours", "found"), [(1, []), (3, ["max_age"])])
def test_the_age_of_files_is_that_of_their_last_modification(path: Path, hours: int, found: list[str]) -> None:
    then = (NOW - timedelta(hours=hours)).timestamp()
    os.utime(path, (then, then))
    with open_files(str(path)) as source:
        result = validate_table(source, load_suite(SUITE), PreconditionPolicy(max_age=timedelta(hours=2)), now=NOW)
    assert [finding["check"] for finding in result["findings"]] == found
    assert result["data"]["fingerprint"]["rows"] == 2


def test_the_age_of_a_column_counts_when_one_is_named(path: Path) -> None:
    policy = PreconditionPolicy(max_age=timedelta(days=10), timestamp_column="t")
    with open_files(str(path)) as source:
        (finding,) = validate_table(source, load_suite(SUITE), policy, now=NOW)["findings"]
    assert finding["message"] == "the newest 't' is 28 days, 12:00:00 old; at most 10 days, 0:00:00 is allowed"


def test_an_empty_query_is_rejected_and_no_expectation_is_said_to_hold(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db")
    result = validate_query(
        engine, "SELECT 1 AS a WHERE 1 = 0", load_suite(SUITE), PreconditionPolicy(), uri="sql://db", now=NOW
    )
    assert result["passed"] is False
    assert result["reasons"] == ["the table has 0 rows; at least 1 required"]
    assert result["expectations"] == []


def test_the_age_of_a_query_needs_a_column(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db")
    policy = PreconditionPolicy(max_age=timedelta(days=1))
    with pytest.raises(InputError, match="max_age needs timestamp_column"):
        validate_query(engine, "SELECT 1 AS a", load_suite(SUITE), policy, uri="sql://db", now=NOW)
