from __future__ import annotations

import dataclasses
import json
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.validation import run as run_module
from airflow_mlops_provider.validation.outcome import ExpectationOutcome
from airflow_mlops_provider.validation.run import run_in_database, run_on_frame
from airflow_mlops_provider.validation.suites import load_suite

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "telco_validation.json").read_text())
MARKER = "SECRET-4711"
FRAME = pd.DataFrame({"a": [1.0, 2.0, None, 99.0], "s": ["x", MARKER, "y", "x"], "n": [None] * 4})
Run = Callable[..., tuple[ExpectationOutcome, ...]]


@pytest.fixture(params=["pandas", "sqlite"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run the same expectations on the same rows by both engines."""

    def on_frame(frame: pd.DataFrame, suite: list[Any], **options: Any) -> Any:
        return run_on_frame(load_suite(suite), frame, **options)

    def in_database(frame: pd.DataFrame, suite: list[Any], **options: Any) -> Any:
        engine = sa.create_engine(f"sqlite:///{tmp_path}/data.db")
        frame.to_sql("t", engine, index=False, if_exists="replace")
        return run_in_database(load_suite(suite), engine, "SELECT * FROM t", list(frame.columns), **options)

    return on_frame if request.param == "pandas" else in_database


def expect(name: str, *, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{name}", "kwargs": kwargs, "severity": severity}


def test_the_churn_table_is_counted_as_awk_counts_it(run: Run, telco: Path) -> None:
    outcomes = run(
        pd.read_csv(telco),
        [
            expect("column_values_to_not_be_null", column="total_charges"),
            expect("column_values_to_be_between", column="tenure", max_value=60),
            expect("column_mean_to_be_between", column="monthly_charges", min_value=60, max_value=70),
            expect("column_values_to_be_in_set", column="contract", value_set=["Month-to-month", "One year"]),
            expect("table_row_count_to_equal", value=7043),
        ],
    )
    assert [one.unexpected_count for one in outcomes] == [
        GOLDEN["missing_total_charges"],
        GOLDEN["tenure_above_60"],
        None,
        GOLDEN["contract_two_year"],
        None,
    ]
    assert outcomes[3].unexpected_share == pytest.approx(GOLDEN["contract_two_year"] / GOLDEN["rows"])
    assert outcomes[2].observed_value == pytest.approx(GOLDEN["mean_monthly_charges"])
    assert [one.success for one in outcomes] == [False, False, True, False, True]


def test_a_share_is_of_the_values_that_are_there(run: Run) -> None:
    (outcome,) = run(FRAME, [expect("column_values_to_be_between", column="a", max_value=10)])
    assert (outcome.unexpected_count, outcome.unexpected_share) == (1, pytest.approx(1 / 3))


def test_an_expectation_on_an_absent_column_is_an_error_and_no_violation(run: Run) -> None:
    for name in ("column_values_to_not_be_null", "column_values_to_be_unique", "column_mean_to_be_between"):
        settings = {"min_value": 0} if "mean" in name else {}
        (outcome,) = run(FRAME, [expect(name, column="absent", **settings)])
        assert outcome.error == "column 'absent' is missing"
        assert (outcome.success, outcome.unexpected_count) == (False, None)


def test_mixed_types_are_an_error_that_does_not_quote_them() -> None:
    frame = pd.DataFrame({"m": [1, MARKER, 2.5]})
    (outcome,) = run_on_frame(load_suite([expect("column_values_to_be_between", column="m", min_value=0)]), frame)
    assert outcome.error == "TypeError was raised; the type of the values may not suit it"


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (expect("column_values_to_be_between", column="n", min_value=0), "every value is missing"),
        (
            expect(
                "column_values_to_be_between",
                column="a",
                min_value=500,
                row_condition='col("s") == "nobody"',
                condition_parser="great_expectations",
            ),
            "no row meets its condition",
        ),
    ],
)
def test_an_expectation_that_saw_no_value_is_an_error(run: Run, entry: dict[str, Any], error: str) -> None:
    (outcome,) = run(FRAME, [entry])
    assert (outcome.success, outcome.error) == (False, error)


def test_nulls_may_be_what_is_expected(run: Run) -> None:
    assert all(one.success for one in run(FRAME, [expect("column_values_to_be_null", column="n")]))


@pytest.mark.parametrize("highest", [50, 1])
def test_quantiles_whose_result_great_expectations_cannot_write_as_json_are_judged(run: Run, highest: int) -> None:
    ranges = {"quantiles": [0.5], "value_ranges": [[0, highest]]}
    divergence = {"values": ["x", "y", MARKER], "weights": [0.5, 0.25, 0.25]}
    quantiles, kl = run(
        FRAME,
        [
            expect("column_quantile_values_to_be_between", column="a", quantile_ranges=ranges),
            expect("column_kl_divergence_to_be_less_than", column="s", partition_object=divergence, threshold=0.1),
        ],
    )
    assert (quantiles.success, quantiles.error) == (highest == 50, None)
    assert (kl.success, kl.error) == (True, None)


def test_outcomes_come_in_the_order_of_the_suite_with_their_severity(run: Run) -> None:
    severities = ["info", "critical", "warning", "info"]
    suite = [expect("column_to_exist", column=f"c{i}", severity=severities[i]) for i in range(4)]
    outcomes = run(FRAME, suite)
    assert [(one.column, one.severity) for one in outcomes] == [(f"c{i}", severities[i]) for i in range(4)]


SUITE_ON_TEXT = [
    expect("column_values_to_be_in_set", column="s", value_set=["x", "y"]),
    expect("column_distinct_values_to_be_in_set", column="s", value_set=["x", "y"]),
    expect("column_values_to_match_regex", column="s", regex="^[a-z]$"),
    expect("column_max_to_be_between", column="a", max_value=10),
    expect("column_most_common_value_to_be_in_set", column="s", value_set=["z"]),
    expect("compound_columns_to_be_unique", column_list=["s", "n"]),
]


def test_no_value_of_the_data_leaves_unless_asked_for(
    run: Run, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    frame = FRAME.assign(a=[MARKER, 1, None, 2]).astype({"a": object})
    outcomes = run(frame, [*SUITE_ON_TEXT, expect("column_values_to_be_between", column="a", min_value=0)])
    printed = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("great_expectations")]
    everything = [repr(outcomes), *(one.sentence() for one in outcomes), printed.out, printed.err, *ours]
    assert not all(one.success for one in outcomes)
    assert MARKER not in "\n".join([*everything, *(str(warning.message) for warning in recwarn)])
    assert "Calculating Metrics" not in printed.err


def test_unexpected_values_are_told_when_asked_for(run: Run) -> None:
    outcome = run(FRAME, SUITE_ON_TEXT, include_unexpected_values=True)[0]
    assert outcome.unexpected_values == (MARKER,)
    assert dataclasses.asdict(run(FRAME, SUITE_ON_TEXT)[0])["unexpected_values"] is None


def test_a_maximum_is_some_rows_value_and_is_told_only_when_asked_for(run: Run) -> None:
    suite = [expect("column_max_to_be_between", column="a", max_value=10)]
    assert run(FRAME, suite)[0].observed_value is None
    assert run(FRAME, suite, include_unexpected_values=True)[0].observed_value == 99


def test_nothing_is_left_on_disk(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir(), temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(home)
    run(FRAME, SUITE_ON_TEXT)
    assert [*os.listdir(home), *os.listdir(temporary)] == []


def test_two_expectations_of_one_type_on_one_column_are_both_judged(run: Run) -> None:
    suite = [expect("column_values_to_be_between", column="a", max_value=limit) for limit in (10, 1000)]
    assert [one.success for one in run(FRAME, suite)] == [False, True]


def test_a_password_is_told_to_the_database_as_it_is(tmp_path: Path) -> None:
    # The dollar sign stands for a variable in Great Expectations' configuration.
    folder = tmp_path / "a$b${HOME}"
    folder.mkdir()
    engine = sa.create_engine(sa.URL.create("sqlite", database=f"{folder}/data.db"))
    FRAME.to_sql("t", engine, index=False)
    suite = load_suite([expect("table_row_count_to_equal", value=4)])
    assert run_in_database(suite, engine, "SELECT * FROM t", list(FRAME.columns))[0].success


def test_a_database_that_does_not_answer_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    engine = sa.create_engine(f"sqlite:///{path}?timeout=0.01")
    FRAME.to_sql("t", engine, index=False)
    with sqlite3.connect(path) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutageError, match="A retry may succeed"):
            run_in_database(load_suite(SUITE_ON_TEXT), engine, "SELECT * FROM t", list(FRAME.columns))


@pytest.mark.parametrize(
    ("traceback", "cause"),
    [
        ("Traceback (most recent call last):\n  File x\n    y\nValueError: SECRET\n\nThe above", "ValueError"),
        ("Traceback (most recent call last):\n  File x\nsqlalchemy.exc.DataError: (x)", "DataError"),
        ("Traceback (most recent call last):\n  File x\nKeyError", "KeyError"),
        ("", "an exception"),
    ],
)
def test_of_a_traceback_only_the_first_exception_class_is_told(traceback: str, cause: str) -> None:
    assert run_module._cause(traceback) == cause


@pytest.mark.parametrize(
    ("line", "outage"),
    [
        ("sqlalchemy.exc.OperationalError: (psycopg.errors.AdminShutdown) terminating connection", True),
        ("sqlalchemy.exc.InterfaceError: (psycopg2.InterfaceError) connection already closed", True),
        ("sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked", True),
        ("sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such function: SQRT", False),
        ("sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedFunction) operator does not exist", False),
    ],
)
def test_a_lost_connection_is_told_from_a_wrong_statement(line: str, outage: bool) -> None:
    assert bool(run_module._OUTAGE.search(f"Traceback:\n  x\npsycopg.Error: y\n\nThe above\n{line}\n")) is outage
