"""The ledger through a proxy that fails: what is entered is entered once, and a later try finishes it."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG
from sklearn.datasets import load_wine

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.core.ledger_entry import Draft
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.adoption import DUPLICATE_TAG, Effect, register
from airflow_mlops_provider.registry.ledger import CHAMPION, enter, read_history, settle
from airflow_mlops_provider.registry.ledger_claims import PREFIX
from airflow_mlops_provider.registry.ledger_store import read_book
from airflow_mlops_provider.registry.manifest import manifest_of
from airflow_mlops_provider.registry.model_files import fetched, verified_manifest
from airflow_mlops_provider.registry.presence import reference
from airflow_mlops_provider.registry.session import TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import by_number
from tests.faults.proxy import FaultyProxy, Mode, faulty_proxy
from tests.servers import mlflow_server

BY = {"dag_id": "churn"}
NOW = "2026-11-20T00:00:00+00:00"
# Everything that a first promotion asks MLflow for.
PATHS = (
    *("experiments/get-by-name", "experiments/create", "runs/create", "runs/get", "runs/log-parameter"),
    *("registered-models/get", "registered-models/alias", "registered-models/set-tag"),
    *("registered-models/delete-tag", "model-versions/get"),
)
LOST = [
    *("500 before", "503 after"),
    *(
        pytest.param(mode, marks=pytest.mark.faults)
        for mode in ("reset before", "reset after", "504 after", "502 before")
    ),
]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("upstream")) as url:
        yield url


@pytest.fixture
def proxy(upstream: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(upstream) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    """End a test that waits for what never comes."""

    def give_up(*_: object) -> None:
        raise TimeoutError("a call did not come back within two minutes")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def impatient(url: str, *, timeout: int = 1, retries: int = 0) -> TrackingServer:
    return TrackingServer(uri=url, request_timeout_seconds=timeout, request_retries=retries)


def make(url: str, model_name: str) -> None:
    with open_registry(TrackingServer(uri=url)) as registry:
        registry.client.create_registered_model(model_name)
        for _ in range(3):
            registry.client.create_model_version(model_name, source="s3://models/none")


def move(server: TrackingServer, model_name: str, *, op: str, version: int, kind: Any = "promote") -> None:
    with open_registry(server) as registry:
        settle(registry, model_name, by=BY, now=NOW)
        draft = Draft(kind=kind, by=BY, at=NOW, subject=reference(registry, model_name, str(version)))
        enter(registry, model_name, op=op, decide=lambda _: draft, by=BY, now=NOW)


def books(url: str, model_name: str) -> tuple[list[tuple[str, str | None]], str | None]:
    """Return the entries and the alias, seen past the proxy."""
    with open_registry(TrackingServer(uri=url)) as registry:
        history = read_history(registry, model_name)
        alias = registry.client.get_registered_model(model_name).aliases.get(CHAMPION)
        return [(one.kind, one.subject and one.subject.version) for one in history.entries], alias and str(alias)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", LOST)
def test_a_first_promotion_cut_anywhere_is_finished_by_its_retry(
    upstream: str, proxy: FaultyProxy, model_name: str, path: str, mode: Mode
) -> None:
    make(upstream, model_name)
    fault = proxy.fail(mode, path=path)
    with suppress(OutageError):
        move(impatient(proxy.url), model_name, op="a", version=2)
    assert fault.struck > 0
    proxy.lift()
    move(impatient(proxy.url, timeout=15), model_name, op="a", version=2)
    assert books(upstream, model_name) == ([("promote", "2")], "2")


def test_an_entry_whose_answer_is_lost_again_and_again_is_found_without_a_retry(
    upstream: str, proxy: FaultyProxy, model_name: str
) -> None:
    make(upstream, model_name)
    fault = proxy.fail("503 after", path="log-parameter")
    move(impatient(proxy.url, retries=2), model_name, op="a", version=1)
    assert fault.struck == 3
    assert books(upstream, model_name) == ([("promote", "1")], "1")


@pytest.mark.parametrize("mode", ["hang before", "hang after", "drip"])
def test_a_hanging_server_ends_the_try_and_the_next_one_finds_one_entry(
    upstream: str, proxy: FaultyProxy, model_name: str, mode: Mode
) -> None:
    make(upstream, model_name)
    move(impatient(proxy.url, timeout=15), model_name, op="a", version=1)
    proxy.fail(mode, path="log-parameter")
    with suppress(OutageError):
        move(impatient(proxy.url), model_name, op="b", version=2)
    proxy.lift()
    move(impatient(proxy.url, timeout=15), model_name, op="b", version=2)
    assert books(upstream, model_name) == ([("promote", "1"), ("promote", "2")], "2")


@pytest.mark.parametrize(
    "mode", ["refuse", "reset before", "500 before", "502 before", "429 before", "hang before", "drip", "cut"]
)
def test_an_unreachable_server_is_an_outage_and_changes_nothing(
    upstream: str, proxy: FaultyProxy, model_name: str, mode: Mode
) -> None:
    make(upstream, model_name)
    proxy.fail(mode)
    with pytest.raises(OutageError):
        move(impatient(proxy.url, retries=1), model_name, op="a", version=1)
    assert books(upstream, model_name) == ([], None)


@pytest.mark.parametrize("mode", ["500 before", "503 after", "504 after", "reset before", "reset after", "429 before"])
def test_a_short_outage_goes_by_unnoticed(upstream: str, proxy: FaultyProxy, model_name: str, mode: Mode) -> None:
    make(upstream, model_name)
    fault = proxy.fail(mode, path="log-parameter", times=2)
    move(impatient(proxy.url, timeout=15, retries=3), model_name, op="a", version=3)
    assert fault.struck == 2
    assert books(upstream, model_name) == ([("promote", "3")], "3")


def test_a_slow_answer_is_waited_for(upstream: str, proxy: FaultyProxy, model_name: str) -> None:
    make(upstream, model_name)
    proxy.fail("trickle", path="registered-models/get")
    move(impatient(proxy.url, timeout=15), model_name, op="a", version=3)
    assert books(upstream, model_name) == ([("promote", "3")], "3")


def test_claims_of_tries_that_failed_do_not_make_a_person_of_them(
    upstream: str, proxy: FaultyProxy, model_name: str
) -> None:
    make(upstream, model_name)
    move(impatient(proxy.url, timeout=15), model_name, op="a", version=1)
    proxy.fail("500 before", path="registered-models/alias")
    with pytest.raises(OutageError):
        move(impatient(proxy.url), model_name, op="b", version=2)
    proxy.lift()
    with open_registry(TrackingServer(uri=upstream)) as registry:
        assert registry.client.get_registered_model(model_name).aliases[CHAMPION] == "1"
        assert settle(registry, model_name, by=BY, now=NOW).noticed == ()
        model = registry.client.get_registered_model(model_name)
        assert model.aliases[CHAMPION] == "2"
        assert len([key for key in model.tags if key.startswith(PREFIX)]) == 1
        assert len(read_book(registry, model_name).run_ids) == 1


@pytest.mark.parametrize(
    ("mode", "doubled"),
    [("500 before", False), ("503 after", True), ("reset after", True), ("hang after", True)],
)
def test_a_registration_whose_answer_is_lost_counts_once(
    upstream: str, proxy: FaultyProxy, model_name: str, mode: Mode, doubled: bool
) -> None:
    """MLflow's client repeats the request, and each that arrives makes a version: the lowest counts."""
    effect = Effect(model_name=model_name, op="a" * 64, input_sha256="i")

    def make_version(server: TrackingServer) -> str:
        with open_registry(server) as registry:
            run_id = registry.client.create_run(registry.experiment_id(model_name)).info.run_id
            logged = registry.client.create_logged_model(registry.experiment_id(model_name), source_run_id=run_id)
            registry.client.finalize_logged_model(logged.model_id, "READY")
            return register(
                registry, effect, model_id=str(logged.model_id), run_id=run_id, tags={}, description=""
            ).version

    fault = proxy.fail(mode, path="model-versions/create")
    with suppress(OutageError):
        make_version(impatient(proxy.url, retries=2))
    assert fault.struck == 3
    proxy.lift()
    assert make_version(impatient(proxy.url, timeout=15)) == "1"
    with open_registry(TrackingServer(uri=upstream)) as registry:
        found = registry.client.search_model_versions(f"name = '{model_name}'")
        counting = [str(one.version) for one in found if DUPLICATE_TAG not in one.tags]
        assert counting == ["1"]
        assert (len(found) > 1) == doubled
        assert str(registry.client.get_registered_model(model_name).aliases["challenger"]) == "1"


@pytest.mark.parametrize(("times", "tries"), [(1, 1), (1 + TrackingServer(uri="http://nowhere").request_retries, 2)])
def test_an_upload_cut_in_the_middle_is_made_again_and_what_half_came_counts_for_nobody(
    upstream: str,
    proxy: FaultyProxy,
    model_name: str,
    run_dag: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    tries: int,
) -> None:
    (data := tmp_path / "wine.csv").write_text(load_wine(as_frame=True).frame.to_csv(index=False))
    (place := tmp_path / "place").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    address = urlsplit(proxy.url)
    connection = {"conn_type": "mlflow", "host": address.hostname, "port": address.port, "schema": "http"}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(connection))
    with DAG(f"upload_{times}", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(0)}) as dag:
        TrainModelOperator(
            task_id="train",
            model_name=model_name,
            data=str(data),
            target="target",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
    fault = proxy.fail("half", path=".skops", times=times)
    fault.needs = "PUT"
    outcome = run_dag(dag)
    assert outcome.state == "success"
    assert fault.struck == times
    assert list(place.iterdir()) == []
    with open_registry(TrackingServer(uri=upstream)) as registry:
        (version,) = registry.client.search_model_versions(f"name = '{model_name}'")
        # A run for each try, of which the one without a model is ended.
        runs = registry.client.search_runs([registry.experiment_id(dag.dag_id)])
        assert sorted(one.info.status for one in runs) == ["FAILED", "FINISHED"][2 - tries :]
        found = by_number(registry, model_name, str(version.version))
        with fetched(registry, found) as directory:
            assert verified_manifest(registry, found, directory) == manifest_of(directory)


@pytest.mark.faults
@pytest.mark.parametrize("mode", ["refuse", "hang before", "503 before", "429 before", "drip"])
def test_the_default_budget_ends_in_about_a_minute(
    upstream: str, proxy: FaultyProxy, model_name: str, mode: Mode
) -> None:
    make(upstream, model_name)
    signal.alarm(90)
    proxy.fail(mode)
    with pytest.raises(OutageError):
        move(TrackingServer(uri=proxy.url), model_name, op="a", version=1)
