from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import Draft
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.blessings import write_blessing
from airflow_mlops_provider.registry.ledger import enter, read_history
from airflow_mlops_provider.registry.model_files import recorded_manifest
from airflow_mlops_provider.registry.models import log_model
from airflow_mlops_provider.registry.promotion import promote, version_to_promote
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, Version, by_alias, by_number

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
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "model.skops").write_text(name)
            model_id = log_model(run, Path(folder), params={})
        effect = Effect(model_name=name, op=run.run_id, input_sha256="i")
        return register(registry, effect, model_id=model_id, run_id=run.run_id, tags={}, description="")


def blessed(registry: Registry, version: Version, *, champion: str | None = None, **changes: Any) -> Version:
    recorded = recorded_manifest(registry, run_id=version.run_id)
    assert recorded is not None
    record = {
        "manifest_sha256": recorded[1].sha256,
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


def promoted(registry: Registry, version: Version, *, op: str = ""):
    op = op or uuid.uuid4().hex
    return promote(registry, version, promoted_by={"dag_id": "d"}, now=NOW, op=op)


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


def test_a_champion_whose_alias_was_taken_away_stops_promotion(registry: Registry, model_name: str) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    version = blessed(registry, made(registry, model_name), champion="1")
    registry.client.delete_registered_model_alias(model_name, CHAMPION)
    with pytest.raises(InputError, match="taken away"):
        promoted(registry, version)


def test_a_retry_finds_what_the_try_before_has_promoted(registry: Registry, model_name: str) -> None:
    first = promoted(registry, blessed(registry, made(registry, model_name)), op="a")
    newer = made(registry, model_name)
    version = version_to_promote(registry, model_name, None, op="a")
    assert version.version == "1"
    assert promoted(registry, version, op="a") == first
    assert len(read_history(registry, model_name).entries) == 1
    assert by_alias(registry, model_name, CHALLENGER) == newer
    assert version_to_promote(registry, model_name, None, op="b") == newer


def test_a_retry_of_a_promotion_that_is_history_does_not_announce_it_again(registry: Registry, model_name: str) -> None:
    first = blessed(registry, made(registry, model_name))
    promoted(registry, first, op="a")
    promoted(registry, blessed(registry, made(registry, model_name), champion="1"))
    again = promoted(registry, first, op="a")
    assert (again.promoted, again.changed, again.superseded_by) == (True, False, "2")
    assert by_alias(registry, model_name, CHAMPION).version == "2"


def test_a_version_deleted_after_its_files_were_proven_is_not_made_champion(
    registry: Registry, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_mlops_provider.registry import promotion

    version = blessed(registry, made(registry, model_name))
    prove = promotion._proven

    def and_delete(*arguments: Any) -> str:
        found = prove(*arguments)
        registry.client.delete_model_version(model_name, version.version)
        return found

    monkeypatch.setattr(promotion, "_proven", and_delete)
    with pytest.raises(InputError, match=r"Version 1 .* was deleted .* nothing was changed"):
        promoted(registry, version)
    assert read_history(registry, model_name).entries == ()


def test_files_changed_after_the_evaluation_are_not_promoted(registry: Registry, model_name: str) -> None:
    version = blessed(registry, made(registry, model_name))
    folder = registry.client.get_logged_model(version.model_id).artifact_location.removeprefix("file://")
    (Path(folder) / "model.skops").write_text("another model")
    with pytest.raises(InputError, match=r"not those that were trained: model\.skops has"):
        promoted(registry, version)
    assert by_alias(registry, model_name, CHAMPION) is None
    assert read_history(registry, model_name).entries == ()


def test_a_verdict_about_other_files_does_not_count(registry: Registry, model_name: str) -> None:
    version = blessed(registry, made(registry, model_name), manifest_sha256="0" * 64)
    with pytest.raises(InputError, match="changed together after the version was judged"):
        promoted(registry, version)
    unchecked = blessed(registry, version, manifest_sha256=None)
    assert "without a check of its files" in promoted(registry, unchecked).reasons[0]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen between a promotion's look at the history and its entry."""
    from airflow_mlops_provider.registry import promotion

    prove = promotion._proven

    def arm(do: Callable[[], object]) -> None:
        def after_it(*arguments: Any) -> str:
            monkeypatch.setattr(promotion, "_proven", prove)
            do()
            return prove(*arguments)

        monkeypatch.setattr(promotion, "_proven", after_it)

    return arm


def test_who_loses_the_race_is_superseded(registry: Registry, model_name: str, meanwhile: Callable[..., None]) -> None:
    slow, fast = (blessed(registry, made(registry, model_name)) for _ in range(2))
    meanwhile(lambda: promoted(registry, fast))
    outcome = promoted(registry, slow)
    assert (outcome.promoted, outcome.previous) == (False, "2")
    assert "superseded: " in outcome.reasons[0]
    assert "but the champion is 2 now" in outcome.reasons[0]
    assert by_alias(registry, model_name, CHAMPION).version == "2"


def test_who_loses_the_race_to_a_promotion_of_the_same_version_has_nothing_left_to_do(
    registry: Registry, model_name: str, meanwhile: Callable[..., None]
) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    version = blessed(registry, made(registry, model_name), champion="1")
    meanwhile(lambda: promoted(registry, version))
    outcome = promoted(registry, version)
    assert (outcome.promoted, outcome.changed, outcome.reasons, outcome.previous) == (True, False, (), "1")
    assert len(read_history(registry, model_name).entries) == 2


def back(registry: Registry, name: str, to: str) -> None:
    subject = by_number(registry, name, to).reference()
    draft = Draft(kind="rollback", by={}, at=NOW, reason="calls the wrong people", subject=subject)
    enter(registry, name, op=uuid.uuid4().hex, decide=lambda _: draft, by={}, now=NOW)


def by_hand(registry: Registry, name: str, to: str) -> None:
    registry.client.set_registered_model_alias(name, CHAMPION, to)


@pytest.mark.parametrize("leave", [back, by_hand])
def test_a_version_that_somebody_went_back_from_needs_a_new_evaluation(
    registry: Registry, model_name: str, leave: Callable[..., None]
) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    version = blessed(registry, made(registry, model_name), champion="1", ledger_entries=1)
    assert promoted(registry, version).changed
    leave(registry, model_name, "1")
    late = promoted(registry, version)
    assert not late.promoted
    assert "was left for another since it was evaluated" in late.reasons[0]
    assert by_alias(registry, model_name, CHAMPION).version == "1"
    anew = blessed(registry, version, champion="1", ledger_entries=len(read_history(registry, model_name).entries))
    assert promoted(registry, anew).changed


def test_a_person_who_goes_back_while_a_late_promotion_proves_its_files_is_not_overruled(
    registry: Registry, model_name: str, meanwhile: Callable[..., None]
) -> None:
    promoted(registry, blessed(registry, made(registry, model_name)))
    version = blessed(registry, made(registry, model_name), champion="1", ledger_entries=1)

    def promote_and_go_back() -> None:
        promoted(registry, version)
        back(registry, model_name, "1")

    meanwhile(promote_and_go_back)
    outcome = promoted(registry, version)
    assert not outcome.promoted
    assert "superseded: " in outcome.reasons[0]
    assert by_alias(registry, model_name, CHAMPION).version == "1"


def test_a_promotion_that_is_history_before_it_is_told_is_not_announced(
    registry: Registry, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_mlops_provider.registry import promotion

    version, faster = (blessed(registry, made(registry, model_name)) for _ in range(2))

    def enter_and_lose(*arguments: Any, **keywords: Any) -> Any:
        entry = enter(*arguments, **keywords)
        monkeypatch.undo()
        promoted(registry, blessed(registry, faster, champion=version.version))
        return entry

    monkeypatch.setattr(promotion, "enter", enter_and_lose)
    outcome = promoted(registry, version)
    assert (outcome.promoted, outcome.changed, outcome.superseded_by) == (True, False, faster.version)


def test_a_challenger_registered_while_the_one_before_is_promoted_keeps_its_alias(
    registry: Registry, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = blessed(registry, made(registry, model_name))
    delete, later = registry.client.delete_registered_model_alias, []

    def late(*arguments: Any) -> None:
        later.append(made(registry, model_name))
        delete(*arguments)

    monkeypatch.setattr(registry.client, "delete_registered_model_alias", late)
    promoted(registry, version)
    assert by_alias(registry, model_name, CHALLENGER) == later[0]
