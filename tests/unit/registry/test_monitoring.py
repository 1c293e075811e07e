from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.registry.monitoring import (
    ROWS,
    TREND,
    Window,
    log_check,
    log_trend,
    metric_name,
    previous_profile,
    window_tags,
)
from airflow_mlops_provider.registry.profiles import write_profile
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    with open_registry(server) as opened:
        yield opened


@pytest.fixture
def experiment() -> str:
    return f"monitoring {uuid4().hex[:8]}"


def check(registry: Registry, experiment: str, end: str, rows: int, *, reference: str = "r1") -> str:
    """Record a check of a window that is told by its number of rows."""
    window = Window.parse(end)
    with logged_run(
        registry,
        experiment_name=experiment,
        run_name="check",
        tags=window_tags(check="drift", window=window, reference=reference, verdict="no_drift"),
    ) as run:
        write_profile(run, profile_table(pa.table({"a": range(rows)})))
        log_check(run, {ROWS: rows}, reference=reference, name="churn version 1", window=window)
    return run.run_id


def previous(registry: Registry, experiment: str, end: str, *, reference: str = "r1") -> tuple[int, str] | None:
    found = previous_profile(
        registry, experiment_id=registry.experiment_id(experiment), reference=reference, window=Window.parse(end)
    )
    return None if found is None else (found[0].rows, found[1][:10])


def test_the_window_before_is_the_latest_one_that_ends_earlier(registry: Registry, experiment: str) -> None:
    assert previous(registry, experiment, "2026-01-05") is None
    for day, rows in ((3, 30), (1, 10), (5, 50), (2, 20)):
        check(registry, experiment, f"2026-01-0{day}", rows)
    assert previous(registry, experiment, "2026-01-05") == (30, "2026-01-03")
    assert previous(registry, experiment, "2026-01-03") == (20, "2026-01-02")
    assert previous(registry, experiment, "2026-01-01") is None
    assert previous(registry, experiment, "2030-01-01") == (50, "2026-01-05")


def test_of_a_window_that_was_checked_again_the_last_check_counts(registry: Registry, experiment: str) -> None:
    check(registry, experiment, "2026-01-01", 10)
    check(registry, experiment, "2026-01-01", 11)
    assert previous(registry, experiment, "2026-01-02") == (11, "2026-01-01")


def test_windows_counted_for_another_champion_do_not_count(registry: Registry, experiment: str) -> None:
    check(registry, experiment, "2026-01-01", 10, reference="r1")
    check(registry, experiment, "2026-01-02", 20, reference="r2")
    assert previous(registry, experiment, "2026-01-03", reference="r1") == (10, "2026-01-01")
    assert previous(registry, experiment, "2026-01-02", reference="r2") is None


def test_a_check_that_died_or_was_deleted_is_passed_over(registry: Registry, experiment: str) -> None:
    check(registry, experiment, "2026-01-01", 10)
    deleted = check(registry, experiment, "2026-01-02", 20)
    died = check(registry, experiment, "2026-01-03", 30)
    registry.client.delete_run(deleted)
    registry.client.set_terminated(died, status="FAILED")
    assert previous(registry, experiment, "2026-01-04") == (10, "2026-01-01")


def test_one_point_per_window_and_value_and_one_trend_per_reference(registry: Registry, experiment: str) -> None:
    for _ in range(3):
        check(registry, experiment, "2026-01-01", 10)
    check(registry, experiment, "2026-01-02", 20)
    check(registry, experiment, "2026-01-02", 20, reference="r2")
    runs = registry.client.search_runs([registry.experiment_id(experiment)], filter_string=f"tags.`{TREND}` != ''")
    assert sorted(run.data.tags[TREND] for run in runs) == ["r1", "r2"]
    (trend,) = [run for run in runs if run.data.tags[TREND] == "r1"]
    assert trend.info.status == "FINISHED"
    assert trend.info.run_name == "trend of churn version 1"
    points = registry.client.get_metric_history(trend.info.run_id, ROWS)
    assert sorted((point.timestamp, point.step, point.value) for point in points) == [
        (1767225600000, 1767225600, 10.0),
        (1767312000000, 1767312000, 20.0),
    ]


def test_two_tasks_that_begin_a_trend_at_once_end_up_with_one(registry: Registry, experiment: str) -> None:
    experiment_id = registry.experiment_id(experiment)
    client = registry.client
    made = client.create_run

    def made_second(*args, **settings):
        # The other task is a moment earlier.
        client.create_run = made
        client.create_run(experiment_id, tags={TREND: "r1"}, run_name="first", start_time=1)
        return made(*args, **settings)

    client.create_run = made_second
    try:
        log_trend(
            registry,
            experiment_id=experiment_id,
            reference="r1",
            name="n",
            metrics={ROWS: 5},
            window=Window.parse("2026-01-01"),
        )
    finally:
        client.create_run = made
    (run,) = client.search_runs([experiment_id])
    assert run.info.run_name == "first"
    assert run.data.metrics == {ROWS: 5}


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("2026-01-02", "2026-01-02T00:00:00+00:00"),
        (" 2026-01-02 03:04:05.678+00:00 ", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T01:00:00+02:00", "2026-01-01T23:00:00+00:00"),
        ("2026-01-02T01:00:00Z", "2026-01-02T01:00:00+00:00"),
    ],
)
def test_the_end_of_a_window_is_read_as_a_moment(text: str, tag: str) -> None:
    assert Window.parse(text).tag == tag


@pytest.mark.parametrize("text", ["", "None", "yesterday", "2026-13-01"])
def test_what_is_no_time_is_no_window(text: str) -> None:
    with pytest.raises(InputError, match="ISO 8601"):
        Window.parse(text)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.integers(-12, 12),
)
def test_tags_sort_as_the_moments_do(one: datetime, other: datetime, hours: int) -> None:
    first = Window.parse(one.replace(tzinfo=UTC).isoformat())
    second = Window.parse(other.replace(tzinfo=timezone(timedelta(hours=hours))).isoformat())
    assert (first.tag < second.tag) == (first.milliseconds < second.milliseconds)
    assert Window.parse(first.tag) == first


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=5, unique=True))
def test_metrics_of_different_columns_have_different_names_that_mlflow_accepts(columns: list[str]) -> None:
    from mlflow.utils.validation import _validate_metric_name

    names = [metric_name("effect", column) for column in columns]
    assert len(set(names)) == len(names)
    for name in names:
        _validate_metric_name(name)


def test_a_window_some_days_before_another_is_of_days_of_24_hours_and_whole_seconds() -> None:
    window = Window.parse("2026-03-30T00:00:00+02:00")
    assert window.before(days=2).tag == "2026-03-27T22:00:00+00:00"
    assert window.before(days=1e-6).tag == "2026-03-29T21:59:59+00:00"
    assert window.before(days=0) == window
