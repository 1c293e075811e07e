from __future__ import annotations

import json
import multiprocessing
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.blessings import ARTIFACT, TAG, read_blessing, write_blessing
from airflow_mlops_provider.registry.promotion import promote
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import CHAMPION, Version, by_alias, by_number

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as registry:
        yield registry


def made(registry: Registry, name: str) -> Version:
    with logged_run(registry, experiment_name="blessings", run_name="r", tags={}) as run:
        logged = registry.client.create_logged_model(run.experiment_id, name="model", source_run_id=run.run_id)
        registry.client.finalize_logged_model(logged.model_id, "READY")
        return register(
            registry,
            Effect(model_name=name, op=run.run_id, input_sha256="i"),
            model_id=logged.model_id,
            run_id=run.run_id,
            tags={},
            description="",
        )


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
    with logged_run(registry, experiment_name="blessings", run_name="e", tags={}) as run:
        write_blessing(run, version, record)
    return by_number(registry, version.model_name, version.version)


def record_of(registry: Registry, version: Version) -> Path:
    run_id = json.loads(version.tags[TAG])["run_id"]
    return Path(registry.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / ARTIFACT


def promoted(registry: Registry, version: Version):
    return promote(registry, version, promoted_by={"dag_id": "d"}, now=NOW, op=uuid.uuid4().hex)


def test_a_blessing_comes_back_as_it_was_written_and_the_last_one_counts(registry: Registry, model_name: str) -> None:
    version = made(registry, model_name)
    assert read_blessing(registry, version) is None
    version = blessed(registry, version, verdict="not_blessed", passed=False, reasons=["bad"])
    assert read_blessing(registry, version)["reasons"] == ["bad"]
    version = blessed(registry, version)
    assert read_blessing(registry, version)["verdict"] == "blessed"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text(path.read_text().replace("false", "true")), "is not the one that was recorded"),
        (lambda path: path.write_text(""), "is not the one that was recorded"),
        (lambda path: path.unlink(), "has no artifact 'blessing/blessing.json'"),
    ],
)
def test_a_record_that_was_changed_or_taken_away_is_not_believed(
    registry: Registry, model_name: str, spoil: Any, message: str
) -> None:
    version = blessed(registry, made(registry, model_name), verdict="not_blessed", passed=False, reasons=["bad"])
    spoil(record_of(registry, version))
    with pytest.raises(InputError, match=message):
        promoted(registry, version)
    assert by_alias(registry, model_name, CHAMPION) is None


@pytest.mark.parametrize("tag", ["", "[]", "{}", "not json"])
def test_a_tag_that_leads_nowhere_is_refused(registry: Registry, model_name: str, tag: str) -> None:
    version = made(registry, model_name)
    registry.client.set_model_version_tag(model_name, version.version, TAG, tag)
    with pytest.raises(InputError, match=r"The blessing of version 1 .* cannot be used: "):
        read_blessing(registry, by_number(registry, model_name, version.version))


def test_a_blessing_of_another_version_does_not_count(registry: Registry, model_name: str) -> None:
    good = blessed(registry, made(registry, model_name))
    other = made(registry, model_name)
    registry.client.set_model_version_tag(model_name, other.version, TAG, good.tags[TAG])
    with pytest.raises(InputError, match=f"The blessing of version 2 .* judges {model_name}/1"):
        promoted(registry, by_number(registry, model_name, other.version))


def bless_all(uri: str, names: list[str], barrier: Any) -> None:
    with open_registry(TrackingServer(uri=uri)) as registry:
        set_tag, met = registry.client.set_model_version_tag, set()

        def together(name: str, *rest: str) -> None:
            if name not in met:
                met.add(name)
                barrier.wait(timeout=60)
            set_tag(name, *rest)

        registry.client.set_model_version_tag = together
        for name in names:
            blessed(registry, by_number(registry, name, "1"))


def test_two_first_evaluations_of_one_version_at_once_are_both_recorded(registry: Registry, model_name: str) -> None:
    names = [made(registry, f"{model_name} {number}").model_name for number in range(10)]
    processes = multiprocessing.get_context("spawn")
    barrier = processes.Barrier(2)
    both = [processes.Process(target=bless_all, args=(registry.server.uri, names, barrier)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert all(read_blessing(registry, by_number(registry, name, "1")) for name in names)
