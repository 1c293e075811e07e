from __future__ import annotations

from collections.abc import Iterator
from math import nan

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.retrain_state import EARLIEST
from airflow_mlops_provider.registry import checks
from airflow_mlops_provider.registry.checks import read_checks
from airflow_mlops_provider.registry.monitoring import Window, monitoring_experiment, rows_tags
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from tests.watched_model import WatchedModel


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("store")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture
def model(registry: Registry, model_name: str) -> WatchedModel:
    return WatchedModel(registry, model_name)


def read(model: WatchedModel, **rest: object) -> list[tuple[str, str, str, int | None]]:
    found = read_checks(model.registry, model.name, reference="r1", **rest)
    return [(one.kind, one.window_end.isoformat()[:10], one.verdict, one.labelled_rows) for one in found]


def test_the_latest_finished_check_of_a_window_counts_and_those_of_other_champions_do_not(model: WatchedModel) -> None:
    model.check("performance", "2026-02-01", "insufficient_data", of="r1", rows=10)
    model.check("performance", "2026-02-01", "drop", of="r1", rows=600)
    model.check("drift", "2026-03-01", "no_drift", of="r1")
    model.check("drift", "2026-02-01", "drift", of="r1")
    model.check("drift", "2026-04-01", "drift", of="r0")
    with pytest.raises(InputError, match="finite"):
        model.check("drift", "2026-05-01", "drift", of="r1", rows=nan)
    assert read(model) == [
        ("drift", "2026-02-01", "drift", None),
        ("performance", "2026-02-01", "drop", 600),
        ("drift", "2026-03-01", "no_drift", None),
    ]


def test_a_drop_that_was_suspected_is_read_as_such(model: WatchedModel) -> None:
    hinted = model.check("performance", "2026-02-01", "no_drop", of="r1")
    model.registry.client.log_metric(hinted, "performance.suspected", 1.0)
    plain = model.check("performance", "2026-03-01", "no_drop", of="r1")
    model.registry.client.log_metric(plain, "performance.suspected", 0.0)
    found = read_checks(model.registry, model.name, reference="r1")
    assert [one.suspected for one in found] == [True, False]


def test_a_check_recorded_elsewhere_counts_when_it_is_named(model: WatchedModel) -> None:
    mine = model.check("estimate", "2026-02-01", "drop", of="r1", experiment=f"elsewhere {model.name}")
    other = model.check("estimate", "2026-03-01", "drop", of="r0", experiment=f"elsewhere {model.name}")
    assert read(model) == []
    assert read(model, run_ids=[mine, other, mine]) == [("estimate", "2026-02-01", "drop", None)]


def test_a_named_run_that_is_no_check_is_refused(model: WatchedModel) -> None:
    run = model.registry.client.create_run(model.registry.experiment_id(f"other {model.name}")).info.run_id
    with pytest.raises(InputError, match="is no check of a model"):
        read(model, run_ids=[run])
    with pytest.raises(InputError, match="There is no MLflow run"):
        read(model, run_ids=["0" * 32])


def test_tags_that_somebody_changed_are_refused_with_the_run(model: WatchedModel) -> None:
    run_id = model.check("drift", "2026-02-01", "drift", of="r1")
    model.registry.client.set_tag(run_id, "mlops.verdict", "maybe")
    with pytest.raises(InputError, match=f"{run_id}.*'maybe'"):
        read(model)


def test_the_number_of_calls_does_not_grow_with_the_number_of_checks(
    model: WatchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 6):
        model.check("drift", f"2026-02-{day:02}", "drift", of="r1")
    monkeypatch.setattr(checks, "MAX_CHECKS", 3)
    calls: list[str] = []
    for name in ("search_runs", "get_run", "get_experiment_by_name"):
        call = getattr(model.registry.client, name)
        monkeypatch.setattr(
            model.registry.client, name, lambda *a, _n=name, _c=call, **k: (calls.append(_n), _c(*a, **k))[1]
        )
    assert [one[1] for one in read(model)] == ["2026-02-03", "2026-02-04", "2026-02-05"]
    assert sorted(calls) == ["get_experiment_by_name", "search_runs"]


def test_a_model_that_nobody_watched_has_no_checks(model: WatchedModel) -> None:
    assert read(model) == []
    model.check("drift", "2026-02-01", "drift", of="r1")
    experiment = model.registry.client.get_experiment_by_name(monitoring_experiment(model.name))
    model.registry.client.delete_experiment(experiment.experiment_id)
    assert read(model) == []


@pytest.mark.parametrize("days", [30, None])
def test_a_check_of_late_labels_is_of_the_time_that_its_rows_cover(model: WatchedModel, days: int | None) -> None:
    window = Window.parse("2026-04-30")
    run_id = model.check("performance", window.tag, "drop", of="r1", rows=400)
    for key, value in rows_tags(window, delay_days=60, window_days=days).items():
        model.registry.client.set_tag(run_id, key, value)
    [found] = read_checks(model.registry, model.name, reference="r1")
    assert found.window_end.isoformat()[:10] == "2026-03-01"
    assert found.window_start == (EARLIEST if days is None else Window.parse("2026-01-30").end)
