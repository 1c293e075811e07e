from __future__ import annotations

import errno
import json
import math
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.specs import Fingerprint
from airflow_mlops_provider.registry.runs import logged_run, task_tags
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry

FINGERPRINT = Fingerprint(uri="file:///data/a.csv", sha256="ab" * 32, size_bytes=10, rows=3, modified_at=None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingServer:
    folder = tmp_path_factory.mktemp("mlflow")
    return TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")


@pytest.fixture
def registry(store: TrackingServer) -> Iterator[Registry]:
    with open_registry(store) as registry:
        yield registry


def start(registry: Registry, **tags: str):
    return logged_run(registry, experiment_name="runs", run_name="a run", tags=tags)


def test_a_run_ends_finished_with_all_that_was_logged(registry: Registry) -> None:
    with start(registry, colour="blue") as run:
        run.log_params({f"p{i}": i for i in range(230)})
        run.log_metrics({f"m{i}": i / 7 for i in range(2100)}, step=4)
        run.set_tags({f"t{i}": i for i in range(130)})
    stored = registry.client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "a run"
    assert stored.data.tags["colour"] == "blue"
    assert stored.data.params == {f"p{i}": str(i) for i in range(230)}
    assert stored.data.metrics == {f"m{i}": i / 7 for i in range(2100)}
    assert {key: stored.data.tags[key] for key in ("t0", "t129")} == {"t0": "0", "t129": "129"}


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_run_ends_failed_and_the_first_error_leaves(registry: Registry, error: BaseException) -> None:
    with pytest.raises(type(error)), start(registry) as run:
        raise error
    assert registry.client.get_run(run.run_id).info.status == "FAILED"


def test_no_active_run_of_mlflow_is_left_or_used(registry: Registry) -> None:
    import mlflow

    with start(registry):
        assert mlflow.active_run() is None
    assert mlflow.active_run() is None


def test_text_json_and_files_are_stored_under_their_paths(registry: Registry, tmp_path: Path) -> None:
    local = tmp_path / "note.txt"
    local.write_text("file")
    with start(registry) as run:
        run.log_text("<html></html>", "validation/report.html")
        run.log_dict({"rows": 3}, "validation/result.json")
        run.log_file(local, "extra")
    where = Path(registry.client.download_artifacts(run.run_id, "", str(tmp_path)))
    assert (where / "validation/report.html").read_text() == "<html></html>"
    assert json.loads((where / "validation/result.json").read_text()) == {"rows": 3}
    assert (where / "extra/note.txt").read_text() == "file"


def test_the_dataset_carries_our_digest_and_can_be_read_back_by_mlflow(registry: Registry) -> None:
    from mlflow.data import get_source

    with start(registry) as run:
        run.log_dataset(FINGERPRINT, context="validation", columns={"a": "string", "b": "double"})
    (entry,) = registry.client.get_run(run.run_id).inputs.dataset_inputs
    assert entry.dataset.name == "a.csv"
    assert entry.dataset.digest == "ab" * 16
    assert [tag.value for tag in entry.tags] == ["validation"]
    assert get_source(entry.dataset).uri == "file:///data/a.csv"
    assert json.loads(entry.dataset.profile)["num_rows"] == 3
    assert json.loads(entry.dataset.schema)["mlflow_colspec"][1] == {"name": "b", "type": "double"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_is_refused(registry: Registry, value: float) -> None:
    with pytest.raises(InputError, match="'auc' must be finite"), start(registry) as run:
        run.log_metrics({"auc": value})
    assert registry.client.get_run(run.run_id).data.metrics == {}


def test_a_value_that_mlflow_would_cut_off_is_refused(registry: Registry) -> None:
    with start(registry) as run:
        run.log_params({"fits": "x" * 6000})
        with pytest.raises(InputError, match="at most 6000 characters; got 6001"):
            run.log_params({"long": "x" * 6001})
        with pytest.raises(InputError, match="at most 8000"):
            run.set_tags({"long": "x" * 8001})
    assert registry.client.get_run(run.run_id).data.params == {"fits": "x" * 6000}


def test_json_with_nan_is_refused(registry: Registry) -> None:
    with start(registry) as run, pytest.raises(ValueError, match="not JSON compliant"):
        run.log_dict({"share": math.nan}, "a.json")


def test_an_artifact_that_cannot_be_written_is_an_outage_and_the_run_is_failed(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a directory should be")
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/m.db", artifact_root=f"{tmp_path}/blocked")
    with open_registry(server) as registry:
        with pytest.raises(OutageError, match=r"'report.html' of MLflow run"), start(registry) as run:
            run.log_text("x", "report.html")
        assert registry.client.get_run(run.run_id).info.status == "FAILED"


def test_task_tags_name_the_try_and_give_mlflow_its_source() -> None:
    tags = task_tags(dag_id="d", task_id="t", run_id="manual__1", try_number=2, operator="ValidateDataOperator")
    assert tags["mlflow.source.name"] == "d.t"
    assert tags["airflow.try_number"] == "2"
    assert tags["airflow.map_index"] == "-1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, InputError), (401, InputError), (403, InputError), (404, InputError)),
        *((408, OutageError), (429, OutageError), (500, OutageError), (None, OutageError)),
    ],
)
def test_a_file_that_is_not_stored_says_why_without_the_signed_address(
    status: int | None, kind: type[Exception], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = None
    if status is not None:
        answer = requests.Response()
        answer.status_code = status

    def log_text(*_: object) -> None:
        signed = "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAEXAMPLE&X-Amz-Signature=abcdef0123"
        raise requests.HTTPError(f"{status} for url: {signed}", response=answer)

    monkeypatch.setattr(registry.client, "log_text", log_text)
    with pytest.raises(kind, match=r"'a\.txt'") as caught, start(registry) as run:
        run.log_text("text", "a.txt")
    assert str(status or "HTTPError") in str(caught.value)
    assert "X-Amz" not in "".join(traceback.format_exception(caught.value))


def test_a_full_disk_says_so(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def log_text(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(registry.client, "log_text", log_text)
    with pytest.raises(OutageError, match="No space left on device"), start(registry) as run:
        run.log_text("text", "a.txt")
