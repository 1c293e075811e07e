from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy

WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"on_drift": "never", "on_performance_drop": False, "on_estimated_drop": False}, "reason to retrain"),
        ({"on_drift": "sometimes"}, "confirmed, always, never"),
        ({"cooldown": timedelta(days=8), "max_age": WEEK}, "cooldown .* max_age"),
        ({"max_age": WEEK, "max_per_period": 2}, "more often than max_per_period"),
        ({"schedule": "@daily"}, "within its cooldown"),
        ({"schedule": "@weekly"}, "more than 2 times"),
        ({"schedule": "0 0 1,2 * *", "max_per_period": None}, "comes after 1 day"),
        ({"schedule": "0 0 31 2 *"}, "never comes"),
        ({"schedule": "every monday"}, "cron"),
        ({"schedule": "61 0 * * *"}, "cannot be read"),
        ({"schedule": timedelta(days=1)}, "cron"),
        ({"quiet_hours": ("00:00", "00:00")}, "whole day"),
        ({"timezone": "Berlin"}, "timezone"),
        ({"cooldown": 7}, "timedelta"),
        ({"cooldown": timedelta(0)}, "at least a minute"),
        ({"max_age": timedelta(days=-1)}, "at least a minute"),
        ({"period": None}, "timedelta"),
        ({"min_new_rows": -1}, "min_new_rows"),
        ({"min_new_rows": 10.5}, "min_new_rows"),
        ({"drift_windows": 0}, "drift_windows"),
        ({"max_per_period": 0}, "max_per_period"),
        ({"one_in_flight": "yes"}, "True or False"),
        ({"on_drfit": "always"}, "no field 'on_drfit'"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_when_it_is_made(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RetrainPolicy.from_dict(fields)


def test_what_does_not_contradict_itself_is_accepted() -> None:
    RetrainPolicy(cooldown=WEEK, max_age=WEEK, max_per_period=None)
    RetrainPolicy(schedule="@weekly", max_per_period=5)
    RetrainPolicy(schedule="@monthly")
    assert RetrainPolicy.from_dict({"quiet_hours": ["22:00", "06:00"]}).quiet_hours == ("22:00", "06:00")


@pytest.mark.parametrize(
    ("now", "tick"),
    [
        (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_time_of_the_schedule_counts_from_its_very_moment_on(now: datetime, tick: datetime) -> None:
    assert RetrainPolicy(schedule="@monthly").last_tick(now) == tick


def test_the_schedule_is_read_in_the_time_zone_of_the_policy() -> None:
    policy = RetrainPolicy(schedule="0 3 * * 1", timezone="Europe/Berlin", max_per_period=None)
    # Monday 03:00 is 02:00 UTC in winter and 01:00 in summer.
    assert policy.last_tick(datetime(2026, 3, 24, tzinfo=UTC)) == datetime(2026, 3, 23, 2, tzinfo=UTC)
    assert policy.last_tick(datetime(2026, 3, 31, tzinfo=UTC)) == datetime(2026, 3, 30, 1, tzinfo=UTC)


def test_a_policy_says_itself_as_plain_json() -> None:
    import json

    plain = RetrainPolicy(quiet_hours=("22:00", "06:00"), max_age=timedelta(days=90)).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["cooldown"] == "5 days, 0:00:00"


def test_a_policy_without_a_schedule_loads_only_the_standard_library() -> None:
    code = (
        "import sys; from airflow_mlops_provider.core.retrain_policy import RetrainPolicy; RetrainPolicy(); "
        "print([one for one in ('croniter', 'numpy', 'airflow', 'mlflow') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
