from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.artifacts import (
    FILES_PARAM,
    files_param,
    not_fetched,
    read,
    recorded_files,
    required,
)
from airflow_mlops_provider.registry.example import EXAMPLE, read_example
from airflow_mlops_provider.registry.heldout import HELDOUT, read_heldout
from airflow_mlops_provider.registry.profiles import TRAINING_PROFILE, TRAINING_SUITE, training_profile, training_suite
from airflow_mlops_provider.registry.reference import SAMPLE, read_sample
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.segments import SEGMENTS, read_segments
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version

READERS: dict[str, Callable[[Registry, Version], Any]] = {
    EXAMPLE: read_example,
    SEGMENTS: partial(read_segments, metric="roc_auc"),
    SAMPLE: read_sample,
    HELDOUT: lambda registry, version: read_heldout(registry, version, SimpleNamespace(task="binary", classes=[])),
    TRAINING_PROFILE: training_profile,
    TRAINING_SUITE: training_suite,
}


def test_files_come_and_what_is_not_there_is_no_outage(tmp_path: Path) -> None:
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=f"{tmp_path}/artifacts")
    with open_registry(server) as registry:
        with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
            run.log_text("deep", "a/b/c.txt")
            run.log_text("top", "d.txt")
        assert read(registry, run_id=run.run_id, path="a/b/c.txt") == b"deep"
        assert required(registry, run_id=run.run_id, path="d.txt") == b"top"
        for path in ("e.txt", "a/c.txt", "x/y/z.txt"):
            assert read(registry, run_id=run.run_id, path=path) is None
            with pytest.raises(InputError, match=f"{run.run_id} has no artifact '{path}'"):
                required(registry, run_id=run.run_id, path=path)
        with pytest.raises(InputError, match="cannot be fetched"):
            read(registry, run_id=run.run_id, path="a")
    with pytest.raises(InputError, match="nowhere"), open_registry(server) as registry:
        read(registry, run_id="nowhere", path="d.txt")


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


def test_evidence_that_was_changed_where_files_are_kept_is_refused_and_what_only_shows_is_not(
    registry: Registry,
) -> None:
    run_id = trained(registry)
    assert list(recorded_files(registry, run_id) or ()) == ["evidence/training.json"]
    assert read(registry, run_id=run_id, path="evidence/training.json") == "é".encode()
    (root(registry, run_id) / "figures" / "roc.svg").write_text("another")
    assert read(registry, run_id=run_id, path="figures/roc.svg") == b"another"
    (root(registry, run_id) / "evidence" / "training.json").write_text("e")
    with pytest.raises(InputError, match=r"'evidence/training\.json' .* is not the one that was written in training"):
        read(registry, run_id=run_id, path="evidence/training.json")


def test_evidence_that_was_added_after_training_is_refused(registry: Registry) -> None:
    run_id = trained(registry)
    assert read(registry, run_id=run_id, path="evidence/example.json") is None
    (root(registry, run_id) / "evidence" / "example.json").write_text("{}")
    with pytest.raises(InputError, match=r"'evidence/example\.json' .* was added after training"):
        read(registry, run_id=run_id, path="evidence/example.json")


def test_evidence_whose_hashes_nobody_wrote_down_is_read(registry: Registry) -> None:
    with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
        run.log_text("{}", "evidence/training.json")
    assert recorded_files(registry, run.run_id) is None
    assert read(registry, run_id=run.run_id, path="evidence/training.json") == b"{}"


def test_hashes_that_cannot_be_read_are_told(registry: Registry) -> None:
    with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
        run.log_text("{}", "evidence/training.json")
        run.log_params({FILES_PARAM: "[]"})
    with pytest.raises(InputError, match=f"{FILES_PARAM!r} of MLflow run {run.run_id} cannot be read"):
        read(registry, run_id=run.run_id, path="evidence/training.json")


@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize("what", ["was deleted after training", "is not the one that was written in training"])
def test_no_reader_of_evidence_passes_over_what_was_done_to_it(registry: Registry, path: str, what: str) -> None:
    with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
        run.log_text("{}", path)
        run.log_params(files_param(run.sha256))
    file = root(registry, run.run_id) / path
    if "deleted" in what:
        file.unlink()
    else:
        file.write_text('{"a": 1}')
    version = Version(model_name="m", version="1", run_id=run.run_id, model_id=None, tags={})
    with pytest.raises(InputError, match=f"^Artifact '{path}' of MLflow run {run.run_id} {what}"):
        READERS[path](registry, version)


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


@pytest.mark.parametrize(("kind", "told"), [("application/xml", InputError), ("text/html; charset=utf-8", OutageError)])
def test_a_page_that_a_proxy_shows_does_not_say_that_a_file_is_gone(registry: Registry, kind: str, told: type) -> None:
    answer = requests.Response()
    answer.status_code, answer.headers["Content-Type"] = 404, kind
    assert isinstance(not_fetched(requests.HTTPError(response=answer), registry, what="The files"), told)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_tells_nothing_of_the_file_and_is_left_to_the_session(registry: Registry, status: int) -> None:
    answer = requests.Response()
    answer.status_code = status
    error = requests.HTTPError(response=answer)
    assert not_fetched(error, registry, what="The files") is error


def test_an_error_without_words_is_told_without_them(registry: Registry) -> None:
    assert "TimeoutError. A retry" in str(not_fetched(TimeoutError(), registry, what="The files"))
