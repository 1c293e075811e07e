from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.champion import resolve
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import (
    CHALLENGER,
    CHAMPION,
    Version,
    by_alias,
    by_number,
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as registry:
        yield registry


def made(registry: Registry, name: str, **tags: str) -> Version:
    with logged_run(registry, experiment_name="versions", run_name="r", tags={}) as run:
        logged = registry.client.create_logged_model(run.experiment_id, name="model", source_run_id=run.run_id)
        registry.client.finalize_logged_model(logged.model_id, "READY")
        effect = Effect(model_name=name, op=run.run_id, input_sha256="i")
        return register(
            registry, effect, model_id=logged.model_id, run_id=run.run_id, tags=tags, description="of a test"
        )


def test_a_new_version_is_the_challenger_and_knows_its_run_its_files_and_its_tags(
    registry: Registry, model_name: str
) -> None:
    first, second = made(registry, model_name, colour="red"), made(registry, model_name)
    assert (first.version, second.version) == ("1", "2")
    assert by_alias(registry, model_name, CHALLENGER) == second
    assert by_alias(registry, model_name, CHAMPION) is None
    again = by_number(registry, model_name, "1")
    assert again == first
    assert again.tags["colour"] == "red"
    assert registry.client.get_logged_model(again.model_id).source_run_id == again.run_id


def test_what_does_not_exist_is_none_for_an_alias_and_refused_for_a_number(registry: Registry, model_name: str) -> None:
    assert by_alias(registry, model_name, CHAMPION) is None
    with pytest.raises(InputError, match="no version 1 at sqlite"):
        by_number(registry, model_name, "1")
    made(registry, model_name)
    with pytest.raises(InputError, match=f"'{model_name}' has no version 7 at sqlite"):
        by_number(registry, model_name, "7")
    with pytest.raises(InputError, match="must be a number; got 'latest'"):
        by_number(registry, model_name, "latest")


@pytest.mark.parametrize("version", ["2", 2])
def test_a_named_version_goes_before_the_alias(registry: Registry, model_name: str, version: object) -> None:
    for _ in range(3):
        made(registry, model_name)
    assert resolve(registry, model_name, version, alias=CHALLENGER).version == "2"
    for nothing in (None, ""):
        assert resolve(registry, model_name, nothing, alias=CHALLENGER).version == "3"
    with pytest.raises(InputError, match=r"no version with alias 'champion' at sqlite.*Hint: train one"):
        resolve(registry, model_name, None, alias=CHAMPION)


def test_the_alias_of_a_deleted_version_is_gone(registry: Registry, model_name: str) -> None:
    version = made(registry, model_name)
    registry.client.delete_model_version(model_name, version.version)
    assert by_alias(registry, model_name, CHALLENGER) is None


def test_a_version_that_others_registered_from_a_path_has_no_logged_model(
    registry: Registry, model_name: str, tmp_path: Path
) -> None:
    registry.client.create_registered_model(model_name)
    registry.client.create_model_version(model_name, source="s3://bucket/models/m-1")
    assert by_number(registry, model_name, "1").model_id is None
