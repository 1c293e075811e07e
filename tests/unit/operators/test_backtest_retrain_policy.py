from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.operators.backtest_retrain_policy import BacktestRetrainPolicyOperator

GIVEN = {
    "task_id": "backtest",
    "initial_data": "first.parquet",
    "target": "churn",
    "estimator": "sklearn.linear_model.LogisticRegression",
}


def window(start: str, end: str, **rest: Any) -> dict[str, Any]:
    return {"start": f"{start}T00:00:00+00:00", "end": f"{end}T00:00:00+00:00", "data": "a.parquet", **rest}


JANUARY, FEBRUARY = window("2025-01-01", "2025-02-01"), window("2025-02-01", "2025-03-01")


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([JANUARY, window("2025-01-31", "2025-03-01")], "no row be in two"),
        ([FEBRUARY, JANUARY], "order them by time"),
        ([JANUARY, {**FEBRUARY, "end": "2025-03-01T00:00:00"}], "must have a zone"),
        ([JANUARY, {**FEBRUARY, "end": "March"}], "ISO 8601"),
        ([JANUARY, window("2025-02-01", "2025-03-01", labels_known_at="2025-02-15T00:00:00+00:00")], "before its end"),
        ([JANUARY, {"data": "a.parquet"}], "must have data, start and end"),
        ([JANUARY, {**FEBRUARY, "label": 1}], "must have data, start and end"),
        ([JANUARY], "at least 2 windows"),
        ("[]", "native_obj"),
    ],
)
def test_windows_that_make_no_past_are_refused_before_anything_is_read(windows: Any, message: str) -> None:
    operator = BacktestRetrainPolicyOperator(**GIVEN, windows=windows)
    with pytest.raises(InvalidInputError, match=message):
        operator.execute({})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policies": {}}, "map names to policies"),
        ({"policies": {"ours": {"cooldown": timedelta(days=9), "max_age": timedelta(days=8)}}}, "'ours'.*cooldown"),
        ({"training_windows": 0}, "training_windows"),
        ({"label_delay": 30}, "timedelta"),
        ({"settings": {"metric": "luck"}}, "luck"),
        ({"settings": {"fold": 3}}, "no field 'fold'"),
        ({"settings": {"split": {"holdout_share": 2}}}, "holdout_share"),
        ({"performance": {"max_dorp": 1}}, "max_dorp"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_parse(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BacktestRetrainPolicyOperator(**GIVEN, windows=[], **arguments)
