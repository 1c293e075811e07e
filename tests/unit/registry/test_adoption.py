from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import Draft
from airflow_mlops_provider.registry.adoption import (
    DUPLICATE_TAG,
    UNFINISHED_TAG,
    Effect,
    earlier_run,
    earlier_version,
    point_challenger,
    register,
)
from airflow_mlops_provider.registry.artifacts import read, recorded_files
from airflow_mlops_provider.registry.ledger import enter
from airflow_mlops_provider.registry.models import log_model
from airflow_mlops_provider.registry.runs import LoggedRun
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, Version, by_alias, by_number

OP = "a" * 64


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture
def effect(model_name: str) -> Effect:
    return Effect(model_name=model_name, op=OP, input_sha256="i" * 64)


def run_of(registry: Registry, effect: Effect, folder: Path | None) -> tuple[str, str]:
    """What a try leaves when it is killed: a running run, with a whole model or without."""
    experiment = registry.experiment_id(effect.model_name)
    run_id = registry.client.create_run(experiment, tags=effect.tags()).info.run_id
    if folder is None:
        return run_id, ""
    (folder / "model.skops").write_text("a model")
    return run_id, log_model(LoggedRun(registry=registry, run_id=run_id, experiment_id=experiment), folder, params={})


def registered(registry: Registry, effect: Effect, folder: Path) -> Version:
    run_id, model_id = run_of(registry, effect, folder)
    return register(registry, effect, model_id=model_id, run_id=run_id, tags={}, description="")


def versions(registry: Registry, effect: Effect) -> list[str]:
    found = registry.client.search_model_versions(f"name = '{effect.model_name}'")
    return sorted(str(one.version) for one in found)


def test_nothing_is_found_where_nothing_was_left(registry: Registry, effect: Effect) -> None:
    assert earlier_version(registry, effect) is None
    assert earlier_run(registry, effect, experiment_id=registry.experiment_id(effect.model_name)) is None


def test_the_same_effect_is_registered_once(registry: Registry, effect: Effect, tmp_path: Path) -> None:
    first = registered(registry, effect, tmp_path)
    assert registered(registry, effect, tmp_path) == first
    assert earlier_version(registry, effect) == by_number(registry, effect.model_name, "1")
    assert versions(registry, effect) == ["1"]


def test_two_effects_are_two_versions(registry: Registry, effect: Effect, tmp_path: Path) -> None:
    registered(registry, effect, tmp_path)
    other = Effect(model_name=effect.model_name, op="b" * 64, input_sha256="i")
    assert registered(registry, other, tmp_path).version == "2"


def test_a_key_of_another_model_does_not_count(registry: Registry, effect: Effect, tmp_path: Path) -> None:
    registered(registry, effect, tmp_path)
    other = Effect(model_name=f"{effect.model_name} 2", op=effect.op, input_sha256=effect.input_sha256)
    assert earlier_version(registry, other) is None
    assert registered(registry, other, tmp_path).version == "1"


def test_of_doubled_versions_the_lowest_counts_and_the_others_are_marked(
    registry: Registry, effect: Effect, tmp_path: Path
) -> None:
    registry.client.create_registered_model(effect.model_name)
    for _ in range(3):
        registry.client.create_model_version(effect.model_name, source="s3://models/none", tags=effect.tags())
    assert registered(registry, effect, tmp_path).version == "1"
    assert versions(registry, effect) == ["1", "2", "3"]
    marks = [by_number(registry, effect.model_name, n).tags.get(DUPLICATE_TAG) for n in ("1", "2", "3")]
    assert marks == [None, "1", "1"]


def test_a_version_whose_answer_was_lost_is_found(
    registry: Registry, effect: Effect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = registry.client.create_model_version

    def lost(*args: Any, **kwargs: Any) -> None:
        make(*args, **kwargs)
        raise MlflowException("connection reset", 1)

    monkeypatch.setattr(registry.client, "create_model_version", lost)
    assert registered(registry, effect, tmp_path).version == "1"


def test_a_version_that_was_not_made_is_an_outage(
    registry: Registry, effect: Effect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("no answer", 1)

    monkeypatch.setattr(registry.client, "create_model_version", refuse)
    with pytest.raises(MlflowException, match="no answer"):
        registered(registry, effect, tmp_path)


def test_a_whole_model_of_a_killed_try_is_found_and_its_run_ended(
    registry: Registry, effect: Effect, tmp_path: Path
) -> None:
    run_id, model_id = run_of(registry, effect, tmp_path)
    run_of(registry, effect, tmp_path)
    found = earlier_run(registry, effect, experiment_id=registry.experiment_id(effect.model_name))
    assert found == (run_id, model_id)
    assert registry.client.get_run(run_id).info.status == "FINISHED"


@pytest.mark.parametrize("calls", [0, 1])
def test_a_try_is_whole_only_with_the_hashes_of_its_evidence_wherever_it_was_killed(
    registry: Registry, effect: Effect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    experiment = registry.experiment_id(effect.model_name)
    run_id = registry.client.create_run(experiment, tags=effect.tags()).info.run_id
    run = LoggedRun(registry=registry, run_id=run_id, experiment_id=experiment)
    run.log_text("{}", "evidence/training.json")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.skops").write_text("a model")
    log, left = registry.client.log_batch, [None] * calls

    def killed(*given: Any, **named: Any) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        log(*given, **named)

    with monkeypatch.context() as now, suppress(KeyboardInterrupt):
        now.setattr(registry.client, "log_batch", killed)
        log_model(run, tmp_path / "model", params={})
    found = earlier_run(registry, effect, experiment_id=experiment)
    assert (found is not None) == (recorded_files(registry, run_id) is not None) == bool(calls)
    assert read(registry, run_id=run_id, path="evidence/training.json") == b"{}"


def test_a_run_that_did_not_get_there_is_marked_and_not_taken_over(registry: Registry, effect: Effect) -> None:
    run_id, _ = run_of(registry, effect, None)
    assert earlier_run(registry, effect, experiment_id=registry.experiment_id(effect.model_name)) is None
    run = registry.client.get_run(run_id)
    assert run.info.status == "KILLED"
    assert UNFINISHED_TAG in run.data.tags


def test_other_input_under_the_same_key_is_refused(registry: Registry, effect: Effect, tmp_path: Path) -> None:
    registered(registry, effect, tmp_path)
    changed = Effect(model_name=effect.model_name, op=effect.op, input_sha256="j" * 64)
    for attempt in (
        lambda: earlier_version(registry, changed),
        lambda: registered(registry, changed, tmp_path),
        lambda: earlier_run(registry, changed, experiment_id=registry.experiment_id(effect.model_name)),
    ):
        with pytest.raises(InputError, match=r"from other input .*force_new=True"):
            attempt()
    assert versions(registry, effect) == ["1"]


def test_a_late_try_does_not_take_the_alias_from_a_newer_challenger(
    registry: Registry, effect: Effect, tmp_path: Path
) -> None:
    first = registered(registry, effect, tmp_path)
    newer = registered(registry, Effect(model_name=effect.model_name, op="b" * 64, input_sha256="i"), tmp_path)
    point_challenger(registry, first)
    assert by_alias(registry, effect.model_name, CHALLENGER) == newer


def test_a_late_try_does_not_make_a_challenger_of_what_was_decided_on(
    registry: Registry, effect: Effect, tmp_path: Path
) -> None:
    version = registered(registry, effect, tmp_path)
    draft = Draft(kind="promote", by={}, at="t", subject=version.reference())
    enter(registry, effect.model_name, op="p", decide=lambda _: draft, by={}, now="t")
    registry.client.delete_registered_model_alias(effect.model_name, CHALLENGER)
    registered(registry, effect, tmp_path)
    assert by_alias(registry, effect.model_name, CHALLENGER) is None


def test_of_two_trainings_that_register_at_once_the_later_version_is_challenger(
    registry: Registry, effect: Effect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_alias = registry.client.set_registered_model_alias
    other = Effect(model_name=effect.model_name, op="b" * 64, input_sha256="i")

    def after_the_other(*arguments: Any) -> None:
        monkeypatch.setattr(registry.client, "set_registered_model_alias", set_alias)
        assert registered(registry, other, tmp_path).version == "2"
        set_alias(*arguments)

    monkeypatch.setattr(registry.client, "set_registered_model_alias", after_the_other)
    assert registered(registry, effect, tmp_path).version == "1"
    challenger = by_alias(registry, effect.model_name, CHALLENGER)
    assert challenger is not None
    assert challenger.version == "2"
