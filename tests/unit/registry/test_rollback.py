from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow.artifacts
import numpy as np
import pytest
import requests
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from sklearn.linear_model import LogisticRegression

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.ledger_entry import Draft
from airflow_mlops_provider.registry import rollback
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.ledger import CHAMPION, enter, read_history, settle
from airflow_mlops_provider.registry.model_files import recorded_manifest
from airflow_mlops_provider.registry.models import MODEL_FILE, log_model, write_model
from airflow_mlops_provider.registry.rollback import Rollback, roll_back
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.trial import Loading
from airflow_mlops_provider.registry.versions import Version
from tests.conftest import Bucket
from tests.faults.proxy import faulty_proxy

BY = {"dag_id": "churn_rollback"}
NOW = "2026-11-20T00:00:00+00:00"
KINDS = {"a": "numeric", "b": "numeric"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    with open_registry(
        TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "model"
    model = LogisticRegression().fit(np.eye(2), [0, 1])
    write_model(model, folder, kinds=KINDS, task="binary", requirements=[])
    return folder


def champion(registry: Registry, name: str, files: Path) -> Version:
    """Register a model and make it champion."""
    with logged_run(registry, experiment_name="rollback", run_name="r", tags={}) as run:
        model_id = log_model(run, files, params={})
        effect = Effect(model_name=name, op=run.run_id, input_sha256="i")
        version = register(registry, effect, model_id=model_id, run_id=run.run_id, tags={}, description="")
    recorded = recorded_manifest(registry, run_id=version.run_id)
    assert recorded is not None
    draft = Draft(kind="promote", by=BY, at=NOW, subject=version.reference(recorded[1].sha256))
    enter(registry, name, op=f"promote {version.version}", decide=lambda _: draft, by=BY, now=NOW)
    return version


def back(registry: Registry, name: str, *, op: str = "", reason: str = "bad", **versions: str) -> Rollback:
    named = {"to_version": None} | versions
    op = op or uuid.uuid4().hex
    return roll_back(registry, name, reason=reason, by=BY, now=NOW, op=op, loading=Loading(), **named)


def alias(registry: Registry, name: str) -> str:
    return str(registry.client.get_registered_model(name).aliases[CHAMPION])


def location(registry: Registry, version: Version) -> Path:
    return Path(registry.client.get_logged_model(version.model_id).artifact_location.removeprefix("file://"))


def test_the_champion_before_serves_again_and_the_reason_stays(
    registry: Registry, model_name: str, files: Path
) -> None:
    for _ in range(3):
        champion(registry, model_name, files)
    assert back(registry, model_name, reason="calls the wrong people") == Rollback(
        version="2", previous="3", changed=True, passed_over=()
    )
    entry = read_history(registry, model_name).entries[-1]
    assert (entry.kind, entry.reason, dict(entry.by)) == ("rollback", "calls the wrong people", BY)
    assert entry.subject is not None
    assert entry.subject.manifest_sha256
    assert alias(registry, model_name) == "2"
    assert len(registry.client.search_model_versions(f"name = '{model_name}'")) == 3


def test_one_rollback_is_one_whatever_how_often_it_is_tried(registry: Registry, model_name: str, files: Path) -> None:
    for _ in range(3):
        champion(registry, model_name, files)
    first = back(registry, model_name, op="a")
    assert back(registry, model_name, op="a") == first
    assert back(registry, model_name, op="b").version == "1"
    assert alias(registry, model_name) == "1"
    with pytest.raises(InputError, match="no earlier champion to go back to"):
        back(registry, model_name, op="c")
    assert len(read_history(registry, model_name).entries) == 5


def test_an_earlier_champion_whose_files_were_changed_is_passed_over(
    registry: Registry, model_name: str, files: Path
) -> None:
    versions = [champion(registry, model_name, files) for _ in range(3)]
    (location(registry, versions[1]) / MODEL_FILE).write_bytes(b"PK")
    outcome = back(registry, model_name)
    assert outcome.version == "1"
    assert "The files of version 2" in outcome.passed_over[0]
    with pytest.raises(InputError, match="not those that were trained"):
        back(registry, model_name, to_version="2")


def test_an_earlier_champion_whose_store_does_not_answer_is_not_passed_over(
    registry: Registry, model_name: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        champion(registry, model_name, files)

    def slow(**_: Any) -> str:
        raise ReadTimeoutError(endpoint_url="http://s3")

    with monkeypatch.context() as now:
        now.setattr("mlflow.artifacts.download_artifacts", slow)
        with pytest.raises(OutageError, match="does not answer"):
            back(registry, model_name, op="retried")
    assert alias(registry, model_name) == "3"
    assert back(registry, model_name, op="retried").version == "2"


def test_an_earlier_champion_whose_store_refuses_us_is_not_passed_over(
    registry: Registry, model_name: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        champion(registry, model_name, files)
    refusal = requests.Response()
    refusal.status_code = 403
    answers, real = [requests.HTTPError("Forbidden", response=refusal)], mlflow.artifacts.download_artifacts

    def refused_once(**given: Any) -> str:
        if answers:
            raise answers.pop()
        return str(real(**given))

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", refused_once)
    with pytest.raises(InputError, match="lacks a permission"), open_registry(registry.server) as again:
        back(again, model_name, op="retried")
    assert alias(registry, model_name) == "3"
    assert back(registry, model_name, op="retried").version == "2"


def test_a_store_in_s3_that_hangs_fails_the_try_and_the_next_one_goes_back_to_the_right_version(
    s3: Bucket, s3_url: str, model_name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = URLLib3Session.__init__

    def impatient(self: URLLib3Session, *given: Any, **named: Any) -> None:
        connect(self, *given, **{**named, "timeout": 1})

    monkeypatch.setattr(URLLib3Session, "__init__", impatient)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=s3.uri("models"))
    with faulty_proxy(s3_url) as proxy:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", proxy.url)
        with open_registry(server) as registry:
            made = [champion(registry, model_name, files) for _ in range(3)]
        fault = proxy.fail("hang before", path=str(made[1].model_id), times=1)
        with pytest.raises(OutageError, match="does not answer"), open_registry(server) as registry:
            back(registry, model_name, op="retried")
        assert fault.struck == 1
        with open_registry(server) as registry:
            assert alias(registry, model_name) == "3"
            found = back(registry, model_name, op="retried")
            assert (found.version, found.passed_over) == ("2", ())
            assert alias(registry, model_name) == "2"


@pytest.mark.parametrize("set_by_hand", [False, True])
def test_files_exchanged_together_with_their_list_are_known_by_the_ledger(
    registry: Registry, model_name: str, files: Path, monkeypatch: pytest.MonkeyPatch, set_by_hand: bool
) -> None:
    first = champion(registry, model_name, files)
    champion(registry, model_name, files)
    if set_by_hand:
        for version in ("1", "2"):
            registry.client.set_registered_model_alias(model_name, CHAMPION, version)
            settle(registry, model_name, by={}, now=NOW)
    (location(registry, first) / "requirements.txt").write_text("evil==1")
    from airflow_mlops_provider.registry import model_files
    from airflow_mlops_provider.registry.manifest import manifest_of

    forged = (str(first.model_id), manifest_of(location(registry, first)))
    monkeypatch.setattr(model_files, "recorded_manifest", lambda *_, **__: forged)
    with pytest.raises(InputError, match="changed together after the version was judged"):
        back(registry, model_name)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen between a rollback's choice and its entry."""
    prove = rollback._proven

    def arm(do: Callable[[], object]) -> None:
        def after_it(*arguments: Any) -> Any:
            monkeypatch.setattr(rollback, "_proven", prove)
            found = prove(*arguments)
            do()
            return found

        monkeypatch.setattr(rollback, "_proven", after_it)

    return arm


def test_a_champion_promoted_meanwhile_is_not_gone_back_from(
    registry: Registry, model_name: str, files: Path, meanwhile: Callable[..., None]
) -> None:
    champion(registry, model_name, files)
    champion(registry, model_name, files)
    meanwhile(lambda: champion(registry, model_name, files))
    assert back(registry, model_name) == Rollback(version="3", previous="2", changed=False, passed_over=())
    assert alias(registry, model_name) == "3"


def test_of_two_rollbacks_at_once_the_second_does_not_go_further_back(
    registry: Registry, model_name: str, files: Path, meanwhile: Callable[..., None]
) -> None:
    for _ in range(3):
        champion(registry, model_name, files)
    meanwhile(lambda: back(registry, model_name))
    assert back(registry, model_name) == Rollback(version="2", previous="3", changed=False, passed_over=())
    assert [one.kind for one in read_history(registry, model_name).entries].count("rollback") == 1


def test_a_version_to_leave_that_is_not_champion_any_more_is_left(
    registry: Registry, model_name: str, files: Path
) -> None:
    for _ in range(3):
        champion(registry, model_name, files)
    assert back(registry, model_name, from_version="3").version == "2"
    again = back(registry, model_name, from_version="3")
    assert again == Rollback(version="2", previous="3", changed=False, passed_over=())
    assert not back(registry, model_name, from_version="3", to_version="1").changed
    assert alias(registry, model_name) == "2"


def test_a_version_deleted_after_it_was_chosen_is_not_made_champion(
    registry: Registry, model_name: str, files: Path, meanwhile: Callable[..., None]
) -> None:
    champion(registry, model_name, files)
    champion(registry, model_name, files)
    meanwhile(lambda: registry.client.delete_model_version(model_name, "1"))
    with pytest.raises(InputError, match=r"Version 1 .* was deleted .* nothing was changed"):
        back(registry, model_name)
    assert alias(registry, model_name) == "2"
    assert len(read_history(registry, model_name).entries) == 2


def test_a_version_that_was_only_ever_rejected_is_no_way_back(registry: Registry, model_name: str, files: Path) -> None:
    champion(registry, model_name, files)
    champion(registry, model_name, files)
    with logged_run(registry, experiment_name="rollback", run_name="r", tags={}) as run:
        model_id = log_model(run, files, params={})
        effect = Effect(model_name=model_name, op=run.run_id, input_sha256="i")
        rejected = register(registry, effect, model_id=model_id, run_id=run.run_id, tags={}, description="")
    draft = Draft(kind="reject", by=BY, at=NOW, subject=rejected.reference())
    enter(registry, model_name, op="reject", decide=lambda _: draft, by=BY, now=NOW)
    with pytest.raises(InputError, match=r"Version 3 .* was never champion, and its evaluation rejected it"):
        back(registry, model_name, to_version="3")


def test_a_named_version_may_be_any_whose_files_are_whole(registry: Registry, model_name: str, files: Path) -> None:
    champion(registry, model_name, files)
    champion(registry, model_name, files)
    assert back(registry, model_name, to_version="2") == Rollback(
        version="2", previous=None, changed=False, passed_over=()
    )
    assert back(registry, model_name, to_version="1").changed
    for missing in ("9", "latest"):
        with pytest.raises(InputError, match=r"has no version 9|must be a number"):
            back(registry, model_name, to_version=missing)


def test_a_deleted_champion_is_what_one_can_go_back_from(registry: Registry, model_name: str, files: Path) -> None:
    champion(registry, model_name, files)
    champion(registry, model_name, files)
    registry.client.delete_model_version(model_name, "2")
    assert back(registry, model_name).version == "1"
    assert alias(registry, model_name) == "1"


def test_an_alias_taken_away_is_set_again_by_naming_the_version(
    registry: Registry, model_name: str, files: Path
) -> None:
    champion(registry, model_name, files)
    registry.client.delete_registered_model_alias(model_name, CHAMPION)
    assert back(registry, model_name, to_version="1").changed
    assert alias(registry, model_name) == "1"


def test_a_version_without_a_list_of_its_files_is_not_gone_back_to(
    registry: Registry, model_name: str, files: Path
) -> None:
    champion(registry, model_name, files)
    registry.client.create_model_version(model_name, source=str(files))
    with pytest.raises(InputError, match="Nobody wrote down what the files of version 2"):
        back(registry, model_name, to_version="2")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_rollback_needs_a_reason(registry: Registry, model_name: str, reason: str) -> None:
    with pytest.raises(InputError, match="must have a reason"):
        back(registry, model_name, reason=reason)


def test_a_model_that_never_had_a_champion_has_nothing_to_go_back_to(registry: Registry, model_name: str) -> None:
    with pytest.raises(InputError, match="no earlier champion to go back to"):
        back(registry, model_name)
