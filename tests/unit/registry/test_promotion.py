from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_mlops_provider.registry.blessings import write_blessing
from airflow_mlops_provider.registry.promotion import promote
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, Version, by_alias, by_number, register

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as registry:
        yield registry


def made(registry: Registry, name: str) -> Version:
    with logged_run(registry, experiment_name="promotion", run_name="r", tags={}) as run:
        logged = registry.client.create_logged_model(run.experiment_id, name="model", source_run_id=run.run_id)
        registry.client.finalize_logged_model(logged.model_id, "READY")
        return register(registry, model_name=name, model_id=logged.model_id, run_id=run.run_id, tags={}, description="")


def blessed(registry: Registry, version: Version, *, champion: str | None = None, **changes: Any) -> Version:
    record = {
        "model_name": version.model_name,
        "version": version.version,
        "verdict": "blessed",
        "passed": True,
        "reasons": [],
        "champion_version": champion,
        "evaluated_at": NOW,
    } | changes
    with logged_run(registry, experiment_name="promotion", run_name="e", tags={}) as run:
        write_blessing(run, version, record)
    return by_number(registry, version.model_name, version.version)


def promoted(registry: Registry, version: Version):
    return promote(registry, version, promoted_by={"dag_id": "d"}, now=NOW)


def test_promotion_moves_the_alias_and_records_who_when_and_instead_of_whom(
    registry: Registry, model_name: str
) -> None:
    first = promoted(registry, blessed(registry, made(registry, model_name), verdict="rubber_stamped"))
    assert (first.promoted, first.changed, first.previous, first.verdict) == (True, True, None, "rubber_stamped")
    outcome = promoted(registry, blessed(registry, made(registry, model_name), champion="1"))
    assert (outcome.promoted, outcome.changed, outcome.previous) == (True, True, "1")
    champion = by_alias(registry, model_name, CHAMPION)
    assert champion.version == "2"
    assert champion.tags["mlops.previous_champion"] == "1"
    assert champion.tags["mlops.promoted_at"] == NOW
    assert json.loads(champion.tags["mlops.promoted_by"]) == {"dag_id": "d"}
    assert by_alias(registry, model_name, CHALLENGER) is None


def test_promoting_the_champion_again_changes_nothing_and_still_knows_the_one_before(
    registry: Registry, model_name: str
) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    second = blessed(registry, made(registry, model_name), champion="1")
    promoted(registry, second)
    newer = made(registry, model_name)
    again = promoted(registry, by_number(registry, model_name, "2"))
    assert (again.promoted, again.changed, again.previous, again.verdict) == (True, False, "1", "blessed")
    assert by_alias(registry, model_name, CHALLENGER) == newer


@pytest.mark.parametrize(
    ("bless", "reason"),
    [
        (None, "was never evaluated: run EvaluateModelOperator first"),
        ({"verdict": "not_blessed", "passed": False, "reasons": ["too slow", "too big"]}, "not blessed: too slow; too"),
        ({"champion": None}, "was evaluated against champion none, but the champion is 1 now: evaluate it again"),
        ({"champion": "7"}, "was evaluated against champion 7, but the champion is 1 now"),
    ],
)
def test_what_may_not_be_promoted_is_not_and_the_reason_is_given(
    registry: Registry, model_name: str, bless: dict[str, Any] | None, reason: str
) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    version = made(registry, model_name)
    if bless is not None:
        version = blessed(registry, version, **bless)
    outcome = promoted(registry, version)
    assert (outcome.promoted, outcome.changed, outcome.previous) == (False, False, "1")
    assert reason in outcome.reasons[0]
    assert by_alias(registry, model_name, CHAMPION).version == "1"
    assert "mlops.promoted_at" not in by_number(registry, model_name, version.version).tags


def test_a_version_blessed_against_a_champion_that_is_gone_is_not_promoted(registry: Registry, model_name: str) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    version = blessed(registry, made(registry, model_name), champion="1")
    registry.client.delete_registered_model_alias(model_name, CHAMPION)
    assert "against champion 1, but the champion is none now" in promoted(registry, version).reasons[0]
