from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.streak import Streak
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.registry import streaks
from airflow_mlops_provider.registry.monitoring import Window, window_tags


@pytest.fixture
def registry(airflow_home: Path) -> Any:
    with MlflowHook().open() as opened:
        yield opened


def check(
    registry: Any, model: str, day: str, verdict: str, *, kind: str = "drift", reference: str = "champion"
) -> str:
    client = registry.client
    tags = window_tags(check=kind, window=Window.parse(day), reference=reference, verdict=verdict)
    run_id = client.create_run(registry.experiment_id(f"{model} monitoring"), tags=tags).info.run_id
    client.set_terminated(run_id, "FINISHED")
    return run_id


def test_the_streak_of_a_window_is_read_from_the_checks_of_its_kind_under_its_champion(
    registry: Any, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaks, "RUNS_PER_PAGE", 2)  # several pages
    # Not in the order of time, as a backfill makes them.
    for day, verdict in [("2026-03-04", "drift"), ("2026-03-01", "no_drift"), ("2026-03-03", "no_drift")]:
        check(registry, model_name, day, verdict)
    check(registry, model_name, "2026-03-03", "drift")  # again, and now it drifts
    check(registry, model_name, "2026-03-02", "drift")
    check(registry, model_name, "2026-03-03", "no_drop", kind="performance")
    check(registry, model_name, "2026-03-02", "no_drift", reference="the champion before")
    last = check(registry, model_name, "2026-03-05", "drift")
    assert streaks.streak_of(registry, last) == Streak(since="2026-03-02T00:00:00+00:00", windows=4)


def test_a_good_window_and_another_kind_of_run_have_none(registry: Any, model_name: str) -> None:
    good = check(registry, model_name, "2026-03-01", "no_drift")
    assert streaks.streak_of(registry, good) is None
    other = registry.client.create_run(registry.experiment_id(model_name)).info.run_id
    assert streaks.streak_of(registry, other) is None
