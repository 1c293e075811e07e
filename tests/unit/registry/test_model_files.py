from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.manifest import manifest_of
from airflow_mlops_provider.registry.model_files import PARAM, fetched, recorded_manifest, verified_manifest
from airflow_mlops_provider.registry.models import log_model
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version, by_number
from tests.limits import full_disk


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture
def version(registry: Registry, model_name: str, tmp_path: Path) -> Version:
    """A version of one file of 300 KB."""
    files = tmp_path / "model"
    files.mkdir()
    (files / "model.skops").write_bytes(os.urandom(300_000))
    with logged_run(registry, experiment_name="files", run_name="r", tags={}) as run:
        model_id = log_model(run, files, params={})
        effect = Effect(model_name=model_name, op=run.run_id, input_sha256="i")
        return register(registry, effect, model_id=model_id, run_id=run.run_id, tags={}, description="")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def test_files_are_fetched_to_where_only_their_owner_looks_and_are_removed(
    registry: Registry, version: Version, place: Path
) -> None:
    with fetched(registry, version) as directory:
        assert stat.S_IMODE(os.stat(next(place.glob("mlops-model-*"))).st_mode) == 0o700
        assert verified_manifest(registry, version, directory) == manifest_of(directory)
    assert list(place.iterdir()) == []


def test_files_are_removed_after_an_error_too(registry: Registry, version: Version, place: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), fetched(registry, version):
        raise RuntimeError("stop")
    assert list(place.iterdir()) == []


def test_a_full_disk_is_an_outage_that_leaves_nothing(registry: Registry, version: Version, place: Path) -> None:
    with (
        pytest.raises(OutageError, match=r"No space to fetch version 1 .*TMPDIR"),
        full_disk(largest_file_bytes=100_000),
        fetched(registry, version),
    ):
        pass
    assert list(place.iterdir()) == []


def test_a_run_that_wrote_no_model_has_no_list(registry: Registry) -> None:
    with logged_run(registry, experiment_name="files", run_name="r", tags={}) as run:
        assert recorded_manifest(registry, run_id=run.run_id) is None
    for nothing in (None, "", "0" * 32):
        assert recorded_manifest(registry, run_id=nothing) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"model_id": "m", "manifest": "["})])
def test_a_list_that_cannot_be_read_is_an_error(registry: Registry, text: str) -> None:
    with logged_run(registry, experiment_name="files", run_name="r", tags={}) as run:
        run.log_params({PARAM: text})
        with pytest.raises(InputError, match="cannot be read"):
            recorded_manifest(registry, run_id=run.run_id)


def test_nobody_can_change_the_list_afterwards(registry: Registry, version: Version) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        registry.client.log_param(version.run_id, PARAM, "{}")


def test_a_version_that_borrows_the_run_of_another_model_is_refused(
    registry: Registry, version: Version, tmp_path: Path
) -> None:
    """An evil version: the run of an honest training, the files of another model."""
    logged = registry.client.create_logged_model(registry.experiment_id("files"), name="model")
    registry.client.finalize_logged_model(logged.model_id, "READY")
    registry.client.create_model_version(
        version.model_name, source=f"models:/{logged.model_id}", run_id=version.run_id, model_id=logged.model_id
    )
    evil = by_number(registry, version.model_name, "2")
    with pytest.raises(InputError, match=r"leads to model m-\w+, but its run \w+ wrote m-"):
        verified_manifest(registry, evil, tmp_path / "model")
