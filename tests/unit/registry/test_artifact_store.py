"""A store of artifacts that refuses is told and not tried again; one that is down is an outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import TrackingServer, open_registry
from tests.conftest import Bucket


@pytest.fixture(autouse=True)
def _no_client_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow keeps its S3 client, and boto3 its session, with the credentials they had."""
    import boto3
    from mlflow.store.artifact import s3_artifact_repo

    s3_artifact_repo._cached_get_s3_client.cache_clear()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def write(root: str, folder: Path) -> None:
    """Log a text to a run whose files are below `root`, straight from here."""
    folder.mkdir(exist_ok=True)
    with open_registry(TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=root)) as registry:
        run = registry.client.create_run(registry.experiment_id("s3"))
        registry.client.log_text(run.info.run_id, "hello", "a.txt")
        assert registry.client.list_artifacts(run.info.run_id)[0].path == "a.txt"


def test_files_go_straight_to_s3_and_a_missing_bucket_is_a_mistake(s3: Bucket, tmp_path: Path) -> None:
    write(s3.uri("runs"), tmp_path)
    assert [key for key in s3.keys() if key.endswith("/a.txt")]  # noqa: SIM118 - a method of ours
    with pytest.raises(InputError, match=r"artifacts refused .*NoSuchBucket"):
        write(f"s3://{s3.name}-other/runs", tmp_path / "other")


def test_a_store_that_does_not_answer_is_an_outage(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(OutageError, match=r"artifacts does not answer .*A retry may succeed"):
        write(s3.uri("runs"), tmp_path)


def test_without_credentials_it_says_so(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InputError, match=r"artifacts refused \(NoCredentialsError\)"):
        write(s3.uri("runs"), tmp_path)


def test_a_file_of_a_run_that_nobody_may_store_is_a_mistake_and_no_outage(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=s3.uri("runs"))
    with (
        pytest.raises(InputError, match=r"artifacts refused \(NoCredentialsError\)"),
        open_registry(server) as registry,
        logged_run(registry, experiment_name="s3", run_name="r", tags={}) as run,
    ):
        run.log_dict({}, "a.json")
