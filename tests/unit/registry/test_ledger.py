from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import Draft, Entry
from airflow_mlops_provider.registry import ledger, ledger_claims, ledger_store
from airflow_mlops_provider.registry.ledger import CHAMPION, enter, read_history, settle
from airflow_mlops_provider.registry.ledger_claims import CLAIM_SECONDS, PREFIX
from airflow_mlops_provider.registry.presence import reference
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry

BY = {"dag_id": "churn", "run_id": "r1", "task_id": "promote"}
NOW = "2026-11-20T00:00:00+00:00"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("store")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quick_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LOOK_AGAIN_SECONDS", 0.0)


@dataclass
class Model:
    """A registered model with some versions, and short words for what is done to it."""

    registry: Registry
    name: str
    ops: int = field(default=0)

    def make(self, versions: int) -> Model:
        self.registry.client.create_registered_model(self.name)
        for _ in range(versions):
            self.registry.client.create_model_version(self.name, source="s3://models/none")
        return self

    def move(self, version: int, *, op: str = "", kind: Any = "promote") -> Entry | None:
        subject = reference(self.registry, self.name, str(version))
        self.ops += 1
        return enter(
            self.registry,
            self.name,
            op=op or f"op{self.ops}",
            decide=lambda _: Draft(kind=kind, by=BY, at=NOW, subject=subject),
            by=BY,
            now=NOW,
        )

    def note(self, kind: Any = "reject", *, op: str = "") -> Entry | None:
        self.ops += 1
        draft = Draft(kind=kind, by=BY, at=NOW)
        return enter(self.registry, self.name, op=op or f"op{self.ops}", decide=lambda _: draft, by=BY, now=NOW)

    def settle(self, **rest: Any) -> ledger.Standing:
        return settle(self.registry, self.name, by=BY, now=NOW, **rest)

    def by_hand(self, version: int | None) -> None:
        if version is None:
            self.registry.client.delete_registered_model_alias(self.name, CHAMPION)
        else:
            self.registry.client.set_registered_model_alias(self.name, CHAMPION, str(version))

    def claim(self, *, seconds_ago: int = 0, op: str = "") -> None:
        text = f"{int(time.time()) - seconds_ago} {op}".rstrip()
        self.registry.client.set_registered_model_tag(self.name, f"{PREFIX}dead", text)

    @property
    def alias(self) -> str | None:
        number = self.registry.client.get_registered_model(self.name).aliases.get(CHAMPION)
        return None if number is None else str(number)

    @property
    def claims(self) -> list[str]:
        return [key for key in self.registry.client.get_registered_model(self.name).tags if key.startswith(PREFIX)]

    @property
    def history(self) -> History:
        return read_history(self.registry, self.name)

    @property
    def lines(self) -> list[tuple[str, str | None]]:
        return [(one.kind, one.subject and one.subject.version) for one in self.history.entries]


@pytest.fixture
def model(registry: Registry, model_name: str) -> Model:
    return Model(registry, model_name).make(4)


def test_a_model_without_a_ledger_has_an_empty_history(model: Model) -> None:
    assert model.history == History()
    assert model.settle().champion is None


def test_a_promotion_is_entered_and_the_alias_follows(model: Model) -> None:
    entry = model.move(2)
    assert entry is not None
    assert entry.subject == model.history.champion
    assert (model.alias, model.lines, model.claims) == ("2", [("promote", "2")], [])


def test_the_same_key_is_entered_once_whatever_comes_with_it(model: Model) -> None:
    first = model.move(2, op="a")
    model.move(3, op="b")
    again = model.move(4, op="a")
    assert again == first
    assert model.lines == [("promote", "2"), ("promote", "3")]
    assert model.alias == "3"


def test_deciding_for_nothing_leaves_nothing(model: Model) -> None:
    model.move(1)
    found = enter(model.registry, model.name, op="x", decide=lambda history: None, by=BY, now=NOW)
    assert found is None
    assert (model.lines, model.claims) == ([("promote", "1")], [])


def test_other_kinds_are_entered_without_moving_the_champion(model: Model) -> None:
    model.move(1)
    for kind in ("reject", "retrain_requested", "retrain_suppressed", "approve"):
        model.note(kind)
    model.move(2, kind="rollback")
    kinds = ["promote", "reject", "retrain_requested", "retrain_suppressed", "approve", "rollback"]
    assert [kind for kind, _ in model.lines] == kinds
    assert model.alias == "2"


def test_who_loses_the_race_decides_again_on_what_the_winner_left(model: Model) -> None:
    model.move(1)
    seen: list[str | None] = []

    def decide(history: History) -> Draft:
        seen.append(history.champion and history.champion.version)
        if len(seen) == 1:
            model.move(2, op="faster")
        return Draft(kind="reject", by=BY, at=NOW, reason=f"against {seen[-1]}")

    entry = enter(model.registry, model.name, op="slower", decide=decide, by=BY, now=NOW)
    assert seen == ["1", "2"]
    assert entry is not None
    assert entry.reason == "against 2"


def test_a_task_killed_between_entry_and_alias_is_finished_by_whoever_looks(model: Model) -> None:
    model.move(1)
    model.move(2)
    model.claim()
    model.by_hand(1)  # what the alias is while the entry of version 2 has no effect yet
    assert model.settle().noticed == ()
    assert (model.alias, model.lines) == ("2", [("promote", "1"), ("promote", "2")])


def test_a_first_promotion_killed_before_its_alias_is_finished_by_whoever_looks(model: Model) -> None:
    model.move(1)
    model.claim()
    model.by_hand(None)
    model.settle()
    assert model.alias == "1"


def test_a_retry_of_the_killed_task_finishes_it_too(model: Model) -> None:
    model.move(1)
    model.move(2, op="killed")
    model.claim()
    model.by_hand(1)
    model.move(2, op="killed")
    assert (model.alias, len(model.lines)) == ("2", 2)


@pytest.mark.parametrize("version", [1, 3])
def test_a_champion_set_by_hand_is_noticed_and_entered_once(
    model: Model, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    model.move(1)
    model.move(2)
    model.by_hand(version)
    (noticed,) = model.settle().noticed
    assert (noticed.kind, noticed.subject and noticed.subject.version) == ("adopt", str(version))
    assert noticed.previous is not None
    assert noticed.previous.version == "2"
    assert f"version {version} was made champion outside of this package, instead of version 2" in caplog.text
    assert model.settle().noticed == ()
    assert (model.alias, model.lines[2:]) == (str(version), [("adopt", str(version))])
    assert noticed == model.history.entries[-1]


def test_a_stranger_set_by_hand_is_entered_even_beside_a_dead_claim(model: Model) -> None:
    model.move(1)
    model.claim()
    model.by_hand(3)
    assert len(model.settle().noticed) == 1
    assert model.alias == "3"


def test_a_champion_older_than_the_ledger_is_its_first_entry(model: Model) -> None:
    model.by_hand(3)
    standing = model.settle()
    assert standing.champion is not None
    assert standing.champion.version == "3"
    assert model.history.entries[0].reason == "was champion when the ledger began"


def test_a_claim_is_taken_away_when_its_owner_must_be_dead(model: Model) -> None:
    model.move(1)
    model.claim(seconds_ago=10)
    model.settle()
    assert len(model.claims) == 1
    model.claim(seconds_ago=CLAIM_SECONDS + 10)
    model.settle()
    assert model.claims == []


def test_a_claim_whose_entry_has_not_come_is_kept_and_explains_nothing(model: Model) -> None:
    model.move(1)
    model.move(2)
    model.claim(seconds_ago=CLAIM_SECONDS + 10, op="waits for its retry")
    model.settle()
    assert len(model.claims) == 1
    model.by_hand(1)
    assert [one.kind for one in model.settle().noticed] == ["adopt"]
    model.move(3, op="waits for its retry")
    assert (model.alias, model.claims) == ("3", [])


def sweeps_all(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whose clock is weeks ahead looks."""
    with monkeypatch.context() as ahead:
        ahead.setattr(ledger_claims.time, "time", lambda now=time.time: now() + 40 * 24 * 3600)
        model.settle()


@pytest.mark.parametrize("moment", ["append", "_set_alias"])
def test_a_worker_whose_clock_is_ahead_does_not_undo_a_promotion_under_way(
    model: Model, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    model.move(1)
    call, looked = getattr(ledger, moment), []

    def late(*args: Any, **kwargs: Any) -> Any:
        if not looked:
            looked.append(True)
            sweeps_all(model, monkeypatch)
        return call(*args, **kwargs)

    monkeypatch.setattr(ledger, moment, late)
    model.move(2)
    assert (model.alias, model.lines, model.claims) == ("2", [("promote", "1"), ("promote", "2")], [])


def test_a_task_frozen_before_the_alias_until_its_claim_was_taken_away_changes_nothing(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.move(1)
    set_alias, frozen = ledger._set_alias, []

    def wakes_late(*args: Any) -> None:
        if not frozen:
            frozen.append(True)
            model.move(2, op="its retry has the same key")
            model.move(3)
            sweeps_all(model, monkeypatch)
        set_alias(*args)

    monkeypatch.setattr(ledger, "_set_alias", wakes_late)
    model.move(2, op="its retry has the same key")
    assert (model.alias, model.claims) == ("3", [])
    assert model.lines == [("promote", "1"), ("promote", "2"), ("promote", "3")]


def test_what_a_person_did_is_not_told_as_the_work_of_the_task_that_noticed_it(model: Model) -> None:
    model.move(1)
    model.by_hand(2)
    (noticed,) = model.settle().noticed
    assert noticed.by == {"noticed_by": "churn/r1/promote"}


def test_a_champion_set_by_hand_keeps_the_hash_of_its_files(model: Model) -> None:
    subject = replace(reference(model.registry, model.name, "1"), manifest_sha256="f" * 64)
    draft = Draft(kind="promote", by=BY, at=NOW, subject=subject)
    enter(model.registry, model.name, op="proven", decide=lambda _: draft, by=BY, now=NOW)
    model.move(2)
    model.by_hand(1)
    (noticed,) = model.settle().noticed
    assert noticed.subject == subject


def test_a_deleted_champion_stops_everything(model: Model) -> None:
    model.move(1)
    model.move(2)
    model.registry.client.delete_model_version(model.name, "2")
    for attempt in (model.settle, lambda: model.move(2, op="op2")):
        with pytest.raises(InputError, match=r"Version 2 of model .* was deleted"):
            attempt()
    assert model.lines == [("promote", "1"), ("promote", "2")]


def test_a_deleted_champion_can_be_followed_by_another(model: Model) -> None:
    model.move(1)
    model.move(2)
    model.registry.client.delete_model_version(model.name, "2")
    champion = model.settle(dangling=True).champion
    assert champion is not None
    assert champion.version == "2"
    model.move(1, kind="rollback")
    assert (model.alias, model.settle().noticed) == ("1", ())


def test_an_alias_taken_away_by_hand_stops_everything(model: Model) -> None:
    model.move(1)
    model.by_hand(None)
    with pytest.raises(InputError, match=r"was taken away .* champion is version 1"):
        model.settle()
    assert model.settle(dangling=True).noticed == ()
    model.move(1, kind="rollback")
    assert model.alias == "1"


def test_a_model_deleted_and_made_anew_does_not_inherit_its_champion(model: Model) -> None:
    model.move(1)
    model.registry.client.delete_registered_model(model.name)
    with pytest.raises(InputError, match="was deleted"):
        model.settle()
    time.sleep(0.002)  # a version of the same millisecond would be taken for the same
    model.make(1).by_hand(1)
    with pytest.raises(InputError, match="made anew"):
        model.settle()


def test_a_deleted_ledger_is_an_error_and_not_a_new_one(model: Model) -> None:
    model.move(1)
    client = model.registry.client
    pointer = client.get_experiment_by_name(f"__mlops_ledger__.{model.name}")
    client.delete_experiment(pointer.experiment_id)
    for attempt in (model.settle, lambda: model.move(2)):
        with pytest.raises(InputError, match=r"ledger of model .* was deleted.*restore"):
            attempt()
    client.restore_experiment(pointer.experiment_id)
    assert model.settle().champion is not None


def test_a_deleted_run_of_the_ledger_is_an_error(model: Model) -> None:
    model.move(1)
    (run_id,) = ledger_store.read_book(model.registry, model.name).run_ids
    model.registry.client.delete_run(run_id)
    with pytest.raises(InputError, match=f"run {run_id} .* was deleted.*restore"):
        model.settle()


@pytest.mark.parametrize("said", ["lacks its tag", "does not exist", "is of model"])
def test_a_pointer_that_leads_nowhere_or_astray_is_an_error(model: Model, said: str) -> None:
    model.move(1)
    client = model.registry.client
    pointer = client.get_experiment_by_name(f"__mlops_ledger__.{model.name}").experiment_id
    stranger = client.create_run(pointer).info.run_id
    target = {"lacks its tag": "", "does not exist": "0" * 32, "is of model": stranger}[said]
    client.set_experiment_tag(pointer, ledger_store.RUN_TAG, target)
    with pytest.raises(InputError, match=said):
        model.history  # noqa: B018 - reading is the test


def test_foreign_parameters_in_the_ledger_are_an_error(model: Model) -> None:
    model.move(1)
    (run_id,) = ledger_store.read_book(model.registry, model.name).run_ids
    model.registry.client.log_param(run_id, "e00000003", "{}")
    with pytest.raises(InputError, match=r"lacks entry 2 .*e00000003"):
        model.settle()


def test_a_full_run_is_followed_by_the_next(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_store, "ENTRIES_PER_RUN", 3)
    for number in range(8):
        model.move(number % 4 + 1, op=f"op{number}")
    book = ledger_store.read_book(model.registry, model.name)
    assert len(book.run_ids) == 3
    kinds = [one.kind for one in book.history.entries]
    assert kinds == [*["promote"] * 3, "next", *["promote"] * 3, "next", *["promote"] * 2]
    assert model.move(1, op="op0") == book.history.entries[0]
    assert (model.alias, len(model.history.entries)) == ("4", 10)


def test_a_run_that_lost_the_race_to_be_the_next_is_deleted(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_store, "ENTRIES_PER_RUN", 2)
    model.note()
    model.note()
    late = ledger_store.read_book(model.registry, model.name)
    model.note()
    draft = Draft(kind="reject", by=BY, at=NOW)
    assert not ledger_store.append(model.registry, late, draft, op="late")
    runs = model.registry.client.search_runs(
        [model.registry.experiment_id(ledger_store.EXPERIMENT)],
        f"tags.`{ledger_store.MODEL_TAG}` = '{model.name}'",
    )
    assert {run.info.run_id for run in runs} == set(ledger_store.read_book(model.registry, model.name).run_ids)


def test_two_first_writers_agree_on_one_ledger(model: Model) -> None:
    ledger_store.start_ledger(model.registry, model.name)
    before = ledger_store.read_book(model.registry, model.name).run_ids
    ledger_store.start_ledger(model.registry, model.name)
    assert ledger_store.read_book(model.registry, model.name).run_ids == before


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "<img src=x onerror=alert(1)>", "été 😀", "x" * 230])
def test_names_that_mlflow_takes_have_a_ledger(registry: Registry, model_name: str, name: str) -> None:
    model = Model(registry, f"{name[:-12]}{model_name[-12:]}" if len(name) > 200 else f"{name} {model_name}").make(1)
    model.move(1)
    assert (model.alias, model.lines) == ("1", [("promote", "1")])


def lost_answer(client: Any, name: str) -> Callable[..., Any]:
    """The call is carried out, but its answer is lost on the way back."""
    call = getattr(client, name)

    def carried_out(*args: Any, **kwargs: Any) -> Any:
        call(*args, **kwargs)
        raise MlflowException("connection reset", 1)

    return carried_out


def test_an_entry_whose_answer_was_lost_is_found_by_reading(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model.note()
    monkeypatch.setattr(model.registry.client, "log_param", lost_answer(model.registry.client, "log_param"))
    assert model.note("approve", op="lost") is not None
    assert [kind for kind, _ in model.lines] == ["reject", "approve"]


def test_a_champion_set_by_hand_is_reported_also_when_the_answer_was_lost(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.move(1)
    model.by_hand(3)
    monkeypatch.setattr(model.registry.client, "log_param", lost_answer(model.registry.client, "log_param"))
    assert len(model.settle().noticed) == 1


def test_a_ledger_whose_answer_was_lost_is_found_by_reading(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    client = model.registry.client
    monkeypatch.setattr(client, "create_experiment", lost_answer(client, "create_experiment"))
    model.note()
    assert len(model.lines) == 1


def test_an_entry_that_was_not_made_is_an_outage_that_leaves_its_claim(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.move(1)

    def refuse(*_: Any) -> None:
        raise MlflowException("no answer", 1)

    with monkeypatch.context() as patch:
        patch.setattr(model.registry.client, "log_param", refuse)
        with pytest.raises(MlflowException, match="no answer"):
            model.move(2, op="retried")
    assert (len(model.claims), model.lines) == (1, [("promote", "1")])
    model.move(2, op="retried")
    assert (model.alias, model.lines) == ("2", [("promote", "1"), ("promote", "2")])


def test_a_ledger_that_never_has_room_ends_as_an_outage(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_RACES", 2)
    monkeypatch.setattr(ledger, "append", lambda *_, **__: False)
    with pytest.raises(OutageError, match="too busy"):
        model.note()


def test_a_ledger_of_another_directory_is_not_found(model: Model, tmp_path: Path) -> None:
    model.move(1)
    with open_registry(TrackingServer(uri=f"sqlite:///{tmp_path}/o.db", artifact_root=str(tmp_path))) as other:
        assert read_history(other, model.name) == History()
