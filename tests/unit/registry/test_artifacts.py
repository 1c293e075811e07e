from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.artifacts import FILES_PARAM, fetch, files_param, not_fetched, recorded_files
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry


def test_files_and_folders_come_and_what_is_not_there_is_no_outage(tmp_path: Path) -> None:
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=f"{tmp_path}/artifacts")
    into = tmp_path / "into"
    into.mkdir()
    with open_registry(server) as registry:
        with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
            run.log_text("deep", "a/b/c.txt")
            run.log_text("top", "d.txt")

        def get(path: str, run_id: str = run.run_id) -> Path:
            return fetch(registry, run_id=run_id, path=path, into=str(into))

        assert get("a/b/c.txt").read_text() == "deep"
        assert get("d.txt").read_text() == "top"
        assert (get("a") / "b" / "c.txt").read_text() == "deep"
        for path in ("e.txt", "a/c.txt", "x/y/z.txt"):
            with pytest.raises(InputError, match=f"{run.run_id} has no artifact '{path}'"):
                get(path)
    with pytest.raises(InputError, match="nowhere"), open_registry(server) as registry:
        get("d.txt", run_id="nowhere")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=f"{tmp_path}/artifacts")
    with open_registry(server) as opened:
        yield opened


def root(registry: Registry, run_id: str) -> Path:
    return Path(registry.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


def trained(registry: Registry) -> str:
    with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
        run.log_text("é", "evidence/training.json")
        run.log_text("whatever", "figures/roc.svg")
        run.log_params(files_param(run.sha256))
    return run.run_id


@pytest.mark.parametrize("path", ["evidence", "evidence/training.json"])
def test_evidence_that_was_changed_where_files_are_kept_is_refused(
    registry: Registry, tmp_path: Path, path: str
) -> None:
    run_id, into = trained(registry), tmp_path / "into"
    into.mkdir()
    assert list(recorded_files(registry, run_id) or ()) == ["evidence/training.json"]
    assert fetch(registry, run_id=run_id, path=path, into=str(into)).exists()
    (root(registry, run_id) / "figures" / "roc.svg").write_text("another")
    assert fetch(registry, run_id=run_id, path="figures/roc.svg", into=str(into)).read_text() == "another"
    (root(registry, run_id) / "evidence" / "training.json").write_text("e")
    with pytest.raises(InputError, match=r"'evidence/training\.json' .* is not the one that was written in training"):
        fetch(registry, run_id=run_id, path=path, into=str(into))


def test_evidence_that_was_added_after_training_is_refused(registry: Registry, tmp_path: Path) -> None:
    run_id = trained(registry)
    (root(registry, run_id) / "evidence" / "example.json").write_text("{}")
    with pytest.raises(InputError, match=r"'evidence/example\.json' .* was added after training"):
        fetch(registry, run_id=run_id, path="evidence/example.json", into=str(tmp_path))


def test_evidence_whose_hashes_nobody_wrote_down_is_read(registry: Registry, tmp_path: Path) -> None:
    with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
        run.log_text("{}", "evidence/training.json")
    assert recorded_files(registry, run.run_id) is None
    assert fetch(registry, run_id=run.run_id, path="evidence", into=str(tmp_path)).exists()


def test_hashes_that_cannot_be_read_are_told(registry: Registry, tmp_path: Path) -> None:
    with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
        run.log_text("{}", "evidence/training.json")
        run.log_params({FILES_PARAM: "[]"})
    with pytest.raises(InputError, match=f"{FILES_PARAM!r} of MLflow run {run.run_id} cannot be read"):
        fetch(registry, run_id=run.run_id, path="evidence", into=str(tmp_path))


@pytest.fixture
def hangs() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def slow_s3(address: str) -> OSError:
    config = Config(read_timeout=0.2, retries={"total_max_attempts": 1})
    client = boto3.client(
        "s3", endpoint_url=address, config=config, region_name="r", aws_access_key_id="a", aws_secret_access_key="s"
    )
    with pytest.raises(OSError, match="Read timeout") as caught:
        client.get_object(Bucket="b", Key="k")
    return caught.value


def slow_http(address: str) -> OSError:
    with pytest.raises(OSError, match="Read timed out") as caught:
        requests.get(f"{address}?signature=secret", timeout=0.2)
    return caught.value


def test_a_store_that_is_slow_or_a_disk_that_fails_is_no_bad_input(registry: Registry, hangs: str) -> None:
    for error in (slow_s3(hangs), slow_http(hangs), OSError(errno.EIO, "Input/output error"), TimeoutError()):
        told = not_fetched(error, registry, what="The files")
        assert isinstance(told, OutageError)
        assert "secret" not in str(told)


@pytest.mark.parametrize("gone", [FileNotFoundError, NotADirectoryError, IsADirectoryError])
def test_what_is_gone_for_good_is_bad_input(registry: Registry, gone: type[OSError]) -> None:
    assert isinstance(not_fetched(gone(2, "No such file"), registry, what="The files"), InputError)


def test_a_file_that_a_server_does_not_have_is_bad_input(registry: Registry) -> None:
    answer = requests.Response()
    answer.status_code = 404
    assert isinstance(not_fetched(requests.HTTPError(response=answer), registry, what="The files"), InputError)
