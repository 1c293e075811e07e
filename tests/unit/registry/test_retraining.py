"""Decisions in the ledger: each once, and none that was outdated when it was entered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import Entry
from airflow_mlops_provider.registry.ledger import read_history
from airflow_mlops_provider.registry.retraining import find_request, training_run_id
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from tests.watched_model import NOW, WatchedModel, asked


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("store")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture
def model(registry: Registry, model_name: str) -> WatchedModel:
    """A champion whose performance has dropped."""
    found = WatchedModel(registry, model_name)
    found.check("performance", "2026-03-01", "drop", of=found.promote(), rows=500)
    return found


def nothing_known(_: Sequence[Entry]) -> dict[str, str]:
    return {}


def kinds(model: WatchedModel) -> list[str]:
    return [one.kind for one in read_history(model.registry, model.name).entries]


def test_a_storm_of_alarms_leaves_one_request_and_one_suppression_for_each_reason_and_window(
    model: WatchedModel,
) -> None:
    first = asked(model, op="first")
    assert first.decision.retrain
    for number in range(20):
        assert not asked(model, op=f"op{number}").decision.retrain
    assert kinds(model) == ["promote", "retrain_requested", "retrain_suppressed"]
    # Another window, suppressed for another reason: the training is still running.
    of = read_history(model.registry, model.name).champion.run_id
    model.check("performance", "2026-03-05", "drop", of=of, rows=500)
    for number in range(20):
        asked(model, now=NOW + timedelta(days=9), op=f"op{number}")
    assert kinds(model)[3:] == ["retrain_suppressed"]
    history = read_history(model.registry, model.name)
    assert [one.details["suppressed_by"][0] for one in history.entries[2:]] == ["answered", "in_flight"]
    assert find_request(model.registry, model.name, "first") == history.entries[1]
    assert find_request(model.registry, model.name, "op1") is None


def test_alarms_at_the_same_moment_make_one_request(model: WatchedModel) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: asked(model, op=f"op{number}"), range(16)))
    assert kinds(model).count("retrain_requested") == 1
    runs = {one.entry.details["run_id"] for one in answers if one.entry and one.entry.kind == "retrain_requested"}
    assert len(runs) == 1


def test_a_task_that_lost_the_race_for_a_request_finds_it_by_its_own_key(model: WatchedModel) -> None:
    def another_is_faster(_: Sequence[Entry]) -> dict[str, str]:
        asked(model, op="winner", states=nothing_known)
        return {}

    assert find_request(model.registry, model.name, "loser") is None
    answer = asked(model, op="loser", states=another_is_faster)
    assert answer.decision.retrain
    assert answer.entry is not None
    assert answer.entry.details["task_op"] == "winner"
    for op in ("winner", "loser"):
        assert find_request(model.registry, model.name, op) == answer.entry
    # Whoever comes later and is held back shares nothing.
    assert not asked(model, op="late").decision.retrain
    assert find_request(model.registry, model.name, "late") is None
    assert kinds(model) == ["promote", "retrain_requested", "retrain_suppressed"]


def test_a_decision_that_was_outdated_when_it_was_to_be_entered_is_made_anew(model: WatchedModel) -> None:
    looks: list[int] = []

    def another_champion_meanwhile(_: Sequence[Entry]) -> dict[str, str]:
        looks.append(1)
        if len(looks) == 1:
            model.promote(at="2026-03-02T00:00:01+00:00")
        return {}

    answer = asked(model, states=another_champion_meanwhile)
    assert len(looks) == 2
    # The new champion has no checks yet, so there is nothing to ask for.
    assert (answer.decision.retrain, answer.entry) == (False, None)
    assert kinds(model) == ["promote", "promote"]


def test_what_somebody_enters_meanwhile_without_a_bearing_on_the_decision_does_not_change_it(
    model: WatchedModel,
) -> None:
    def approve(_: Sequence[Entry]) -> dict[str, str]:
        model.enter("approve", at="2026-03-02T00:00:01+00:00")
        return {}

    assert asked(model, states=approve).decision.retrain
    assert kinds(model) == ["promote", "approve", "retrain_requested"]


def test_an_entry_holds_all_that_its_run_needs_and_fits_into_a_parameter(model: WatchedModel) -> None:
    of = read_history(model.registry, model.name).champion.run_id
    for day in range(1, 29):
        model.check("performance", f"2026-02-{day:02}", "drop", of=of, rows=500)
    entry = asked(model).entry
    assert entry is not None
    assert len(entry.to_text()) < 6000
    assert entry.details["window_end"] == "2026-03-01T00:00:00+00:00"
    assert len(entry.details["evidence"][0]["run_ids"]) == 10
    assert entry.details["dag_id"] == "t"
    assert entry.reason == "labels show a drop in 29 windows running, to 2026-03-01T00:00:00+00:00"


def test_run_ids_are_what_airflow_takes_and_differ_where_requests_do() -> None:
    import re

    window = "2026-03-01T00:00:00+00:00"
    ids = [training_run_id(name, window, op) for name in ("a b/ü'" * 60, "churn") for op in ("0" * 64, "1" * 64)]
    assert len(set(ids)) == 4
    for one in ids:
        assert re.fullmatch(r"[A-Za-z0-9_.~:+-]{1,250}", one)


def test_a_champion_without_a_training_run_cannot_be_judged(registry: Registry, model_name: str) -> None:
    registry.client.create_registered_model(model_name)
    registry.client.create_model_version(model_name, source="s3://models/none")
    registry.client.set_registered_model_alias(model_name, "champion", "1")
    with pytest.raises(InputError, match="has no training run"):
        asked(WatchedModel(registry, model_name))
