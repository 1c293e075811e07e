"""Who reads finds the champion of the ledger, whatever a killed task left of the alias, and is told when it is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import Draft
from airflow_mlops_provider.registry.champion import (
    champion_of,
    known_manifest,
    resolve,
    set_by_hand,
    settled_history,
)
from airflow_mlops_provider.registry.ledger import enter, read_history
from airflow_mlops_provider.registry.ledger_claims import Claim
from airflow_mlops_provider.registry.presence import reference
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, by_number

BY = {"dag_id": "d"}
NOW = "2026-11-20T00:00:00+00:00"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture
def name(registry: Registry, model_name: str) -> str:
    """A model of two versions, both of which were champion."""
    registry.client.create_registered_model(model_name)
    for number in ("1", "2"):
        registry.client.create_model_version(model_name, source="s3://models/none")
        promote(registry, model_name, number)
    return model_name


def promote(registry: Registry, name: str, number: str) -> None:
    subject = by_number(registry, name, number).reference(f"hash of {number}")
    draft = Draft(kind="promote", by=BY, at=NOW, subject=subject)
    enter(registry, name, op=f"promote {number}", decide=lambda _: draft, by=BY, now=NOW)


def number_of(registry: Registry, name: str) -> str | None:
    found = champion_of(registry, name)
    return None if found is None else found.version


def test_a_model_that_is_not_there_and_one_without_a_champion_have_none(registry: Registry, model_name: str) -> None:
    assert champion_of(registry, model_name) is None
    registry.client.create_registered_model(model_name)
    assert champion_of(registry, model_name) is None
    with pytest.raises(InputError, match=r"no version with alias 'champion'.*train one"):
        resolve(registry, model_name, None, alias=CHAMPION)


def alias(registry: Registry, name: str) -> str | None:
    number = registry.client.get_registered_model(name).aliases.get(CHAMPION)
    return None if number is None else str(number)


def test_a_move_whose_task_was_killed_before_the_alias_counts_and_is_finished(registry: Registry, name: str) -> None:
    Claim(registry=registry, model_name=name).leave()
    registry.client.set_registered_model_alias(name, CHAMPION, "1")
    assert (number_of(registry, name), alias(registry, name)) == ("2", "2")
    registry.client.delete_registered_model_alias(name, CHAMPION)
    assert (number_of(registry, name), alias(registry, name)) == ("2", "2")


def test_an_account_that_may_only_read_reads_the_ledger(
    registry: Registry, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MlflowException("Permission denied", PERMISSION_DENIED)

    Claim(registry=registry, model_name=name).leave()
    registry.client.set_registered_model_alias(name, CHAMPION, "1")
    monkeypatch.setattr(registry.client, "set_registered_model_tag", refuse)
    assert (number_of(registry, name), alias(registry, name)) == ("2", "1")


def test_the_history_knows_what_a_person_did_and_that_it_was_a_person(registry: Registry, name: str) -> None:
    registry.client.set_registered_model_alias(name, CHAMPION, "1")
    actor = {"dag_id": "churn", "run_id": "r", "task_id": "history"}
    history = settled_history(registry, name, by=actor)
    assert [one.kind for one in history.entries] == ["promote", "promote", "adopt"]
    assert set_by_hand(registry, name, by=actor) == ["1"]
    assert set_by_hand(registry, name, by={"dag_id": "another"}) == []
    registry.client.delete_model_version(name, "1")
    assert settled_history(registry, name, by=actor) == history


def test_an_alias_that_somebody_set_counts_and_nothing_is_written(registry: Registry, name: str) -> None:
    registry.client.set_registered_model_alias(name, CHAMPION, "1")
    assert number_of(registry, name) == "1"
    assert alias(registry, name) == "1"
    assert len(read_history(registry, name).entries) == 2


def test_a_champion_that_was_deleted_or_lost_its_alias_is_told_and_never_taken_for_none(
    registry: Registry, name: str
) -> None:
    registry.client.delete_registered_model_alias(name, CHAMPION)
    with pytest.raises(InputError, match="was taken away"):
        champion_of(registry, name)
    registry.client.delete_model_version(name, "2")
    with pytest.raises(InputError, match=r"Version 2 .* the champion by its ledger, was deleted"):
        resolve(registry, name, None, alias=CHAMPION)


def test_other_aliases_and_named_versions_are_what_mlflow_says(registry: Registry, name: str) -> None:
    registry.client.set_registered_model_alias(name, CHALLENGER, "1")
    assert resolve(registry, name, None, alias=CHALLENGER).version == "1"
    assert resolve(registry, name, 1, alias=CHAMPION).version == "1"


def test_an_alias_that_mlflow_would_never_give_is_told_as_such(registry: Registry, name: str) -> None:
    with pytest.raises(InputError, match="latest"):
        resolve(registry, name, None, alias="latest")


def test_the_ledger_remembers_the_files_that_were_judged(registry: Registry, name: str) -> None:
    assert known_manifest(registry, by_number(registry, name, "1")) == "hash of 1"
    registry.client.create_model_version(name, source="s3://models/none")
    assert known_manifest(registry, by_number(registry, name, "3")) is None
    assert reference(registry, name, "3") is not None
