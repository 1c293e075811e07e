from __future__ import annotations

import asyncio
import http.server
import importlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.registry import rest
from airflow_mlops_provider.registry.session import TrackingServer, open_registry
from airflow_mlops_provider.triggers.model_event import ModelEventTrigger
from airflow_mlops_provider.triggers.model_version import ModelVersionTrigger
from tests import servers
from tests.triggers import heartbeat, run, running, until

POLL = 0.1
PASSWORD = "s3cret of ann"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, airflow_home: Path) -> Callable[..., None]:
    """Define the connection as Airflow users do."""

    def define(url: str, **fields: Any) -> None:
        parts = urlsplit(url)
        given = {"conn_type": "mlflow", "host": parts.hostname, "port": parts.port, "schema": parts.scheme, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_WATCHED_MLFLOW", json.dumps(given))

    return define


def version_trigger(model_name: str, **settings: Any) -> ModelVersionTrigger:
    return ModelVersionTrigger(
        model_name=model_name, mlflow_conn_id="watched_mlflow", poll_interval_seconds=POLL, **settings
    )


def event_trigger(model_name: str, **settings: Any) -> ModelEventTrigger:
    return ModelEventTrigger(
        model_name=model_name, mlflow_conn_id="watched_mlflow", poll_interval_seconds=POLL, **settings
    )


class Person:
    """Somebody with MLflow's own client or UI, who knows nothing of this package."""

    def __init__(self, url: str, model_name: str) -> None:
        self.client = MlflowClient(url, registry_uri=url)
        self.model_name = model_name

    def makes_model(self) -> None:
        self.client.create_registered_model(self.model_name)

    def makes_version(self) -> str:
        return str(self.client.create_model_version(self.model_name, source="s3://bucket/model").version)

    def points(self, alias: str, version: str) -> None:
        self.client.set_registered_model_alias(self.model_name, alias, version)


async def aside(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do blocking work beside the event loop, as another process would."""
    return await asyncio.to_thread(work, *arguments)


async def looks(seconds: float = 1.0) -> None:
    """Let some looks pass in which nothing is to happen."""
    await asyncio.sleep(seconds)


def test_a_task_trigger_waits_for_model_version_and_alias_in_turn(
    connect: Callable[..., None], mlflow_server: str, model_name: str
) -> None:
    connect(mlflow_server)
    person = Person(mlflow_server, model_name)

    async def story() -> None:
        first = version_trigger(model_name)
        champion = version_trigger(model_name, alias="champion")
        second = version_trigger(model_name, min_version=2)
        newer_champion = version_trigger(model_name, alias="champion", min_version=2)
        async with running(first, champion, second, newer_champion) as found:
            await looks()
            await aside(person.makes_model)
            await looks()
            assert found == [[], [], [], []]
            await aside(person.makes_version)
            await until(lambda: found[0])
            await aside(person.points, "champion", "1")
            await until(lambda: found[1])
            assert found[2:] == [[], []]
            await aside(person.makes_version)
            await until(lambda: found[2])
            await looks()
            assert found[3] == []
            await aside(person.points, "champion", "2")
            await until(lambda: found[3])
        one, two = ({"status": "found", "version": number} for number in ("1", "2"))
        assert found == [[one], [one], [two], [two]]

    run(story())


class Store:
    """What Airflow 3.3 keeps for an asset."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


def test_an_event_trigger_announces_each_move_of_an_alias_that_a_person_makes(
    connect: Callable[..., None], mlflow_server: str, model_name: str
) -> None:
    connect(mlflow_server)
    person = Person(mlflow_server, model_name)

    async def story() -> list[Any]:
        async with running(event_trigger(model_name, alias="champion")) as (moves,):
            await looks()
            await aside(person.makes_model)
            for _ in range(2):
                await aside(person.makes_version)
            await looks()
            assert moves == []
            for n, version in enumerate(["1", "2", "1"], start=1):  # the last one as a rollback does
                await aside(person.points, "champion", version)
                await until(lambda n=n: len(moves) == n)
            await aside(person.client.delete_registered_model_alias, model_name, "champion")
            await looks()
            await aside(person.points, "champion", "1")
            await looks()
            return list(moves)

    moves = run(story())
    assert [(one["previous_version"], one["version"]) for one in moves] == [(None, "1"), ("1", "2"), ("2", "1")]
    first = moves[0]
    assert {key: first[key] for key in ("event", "model_name", "alias")} == {
        "event": "alias_moved",
        "model_name": model_name,
        "alias": "champion",
    }
    created = person.client.get_model_version(model_name, "1").creation_timestamp
    assert first["key"] == f"{model_name}@champion:0-1:{created}"
    assert first["created_at"].endswith("+00:00")
    assert json.loads(json.dumps(moves)) == moves


def test_an_event_trigger_announces_new_versions_also_of_a_model_that_was_made_anew(
    connect: Callable[..., None], mlflow_server: str, model_name: str
) -> None:
    connect(mlflow_server)
    person = Person(mlflow_server, model_name)
    person.makes_model()
    person.makes_version()

    async def story() -> list[Any]:
        async with running(event_trigger(model_name)) as (news,):
            await looks()
            assert news == []  # it was there before
            await aside(person.makes_version)
            await until(lambda: len(news) == 1)
            await aside(person.client.delete_model_version, model_name, "2")
            await looks()
            assert len(news) == 1
            # Numbers begin anew.
            await aside(person.client.delete_registered_model, model_name)
            await aside(person.makes_model)
            await aside(person.makes_version)
            await until(lambda: len(news) == 2)
            return list(news)

    news = run(story())
    assert [(one["event"], one["version"]) for one in news] == [("new_version", "2"), ("new_version", "1")]
    assert news[1]["previous_version"] == "2"


def test_what_happened_while_no_triggerer_ran_is_announced_and_nothing_is_lost_by_a_kill(
    connect: Callable[..., None], mlflow_server: str, model_name: str
) -> None:
    connect(mlflow_server)
    person = Person(mlflow_server, model_name)
    person.makes_model()
    for _ in range(2):
        person.makes_version()
    person.points("champion", "1")
    store = Store()

    def trigger() -> ModelEventTrigger:
        made = event_trigger(model_name, alias="champion")
        made.asset_state_store = store
        return made

    async def first_life() -> None:
        async with running(trigger()) as (moves,):
            await until(lambda: store.values)
            assert moves == []

    async def second_life() -> tuple[list[Any], dict[str, Any]]:
        async with running(trigger()) as (moves,):
            await until(lambda: moves)
            # Killed now, it would say so again: rather twice than never.
            at_once = dict(store.values)
            await until(lambda: store.values != at_once)
            return list(moves), at_once

    run(first_life())
    person.points("champion", "2")
    moves, at_once = run(second_life())
    assert [(one["previous_version"], one["version"]) for one in moves] == [("1", "2")]
    (value,) = at_once.values()
    assert value["version"] == "1"
    killed = Store()
    killed.values = at_once
    store = killed
    again, _ = run(second_life())
    assert again[0]["key"] == moves[0]["key"]


def test_a_server_that_is_restarted_in_the_middle_is_waited_for_and_spoken_of_once(
    connect: Callable[..., None], tmp_path: Path, model_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}"
    connect(url)
    person = Person(url, model_name)
    waiting, watching = version_trigger(model_name, alias="champion"), event_trigger(model_name)

    async def story() -> list[list[Any]]:
        first = servers.mlflow_server(tmp_path, port=port)
        await aside(first.__enter__)
        try:
            await aside(person.makes_model)
            await aside(person.makes_version)
            async with running(waiting, watching) as found:
                await looks()
                await aside(first.__exit__, None, None, None)
                await looks(2)
                second = servers.mlflow_server(tmp_path, port=port)
                await aside(second.__enter__)
                await aside(person.makes_version)
                await aside(person.points, "champion", "2")
                await until(lambda: all(found))
        finally:
            await aside(second.__exit__, None, None, None)
        return found

    found, news = run(story())
    assert found == [{"status": "found", "version": "2"}]
    assert [one["version"] for one in news] == ["2"]
    said = capsys.readouterr()
    assert (said.out + said.err).count("Asking again until it answers") == 2  # each of the two triggers, once
    assert (said.out + said.err).count("answers again") == 2


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_300_triggers_on_a_server_that_hangs_do_not_hold_up_the_event_loop(
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    mlflow_server: str,
    model_name: str,
) -> None:
    person = Person(mlflow_server, model_name)
    person.makes_model()
    lags: list[float] = []

    async def story() -> None:
        beating = asyncio.create_task(heartbeat(lags))
        hanging = [version_trigger(f"hanging {n}", alias="champion") for n in range(200)]
        hanging += [event_trigger(f"hanging {n}") for n in range(100)]
        for n, one in enumerate(hanging):
            one.poll_interval_seconds = 0.1 + n / 100  # as after a restart of the triggerer, but in less time
        async with running(*hanging) as found:
            await looks(4)
            # Another trigger on the same loop does its work meanwhile.
            async with running(well) as (seen,):
                await aside(person.makes_version)
                await until(lambda: seen)
            assert found == [[]] * 300
        beating.cancel()

    with silent_server() as url:
        connect(url)
        parts = urlsplit(mlflow_server)
        monkeypatch.setenv("AIRFLOW_CONN_WELL_MLFLOW", f"mlflow://{parts.netloc}/http")
        well = ModelVersionTrigger(model_name=model_name, mlflow_conn_id="well_mlflow", poll_interval_seconds=POLL)
        run(story())
    # A single call that blocks until its time-out would hold the loop up for 15 s; the machine may be busy, too.
    assert len(lags) >= 5
    assert max(lags) < 10


@asynccontextmanager
async def answering(status: int, body: bytes = b"", **headers: str) -> AsyncIterator[TrackingServer]:
    """A server with one answer to everything; it notes what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    asked: list[tuple[str, str | None]] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}/base"
        try:
            yield TrackingServer(uri=uri, username="ann", password=PASSWORD, request_timeout_seconds=2)
        finally:
            server.shutdown()


async def asked(status: int, body: bytes = b"", **headers: str) -> Any:
    async with answering(status, body, **headers) as server:
        return await rest.find_version(server, "m", "champion")


NOT_FOUND = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": PASSWORD}).encode()
NO_ALIAS = json.dumps({"error_code": "INVALID_PARAMETER_VALUE"}).encode()


@pytest.mark.parametrize(("status", "body"), [(404, NOT_FOUND), (400, NO_ALIAS), (200, b"{}")])
def test_what_is_not_there_yet_is_waited_for(status: int, body: bytes) -> None:
    assert run(asked(status, body)) is None


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, b"", OutageError),
        (503, b"<html>be right back</html>", OutageError),
        (429, b"", OutageError),
        (404, b"<html>no such page</html>", OutageError),
        (200, b"<html>sign in</html>", OutageError),
        (200, b"[" * 100, OutageError),
        (200, b" " * (5 << 20), OutageError),
        (401, b"", InputError),
        (403, b"", InputError),
    ],
)
def test_an_outage_is_told_from_a_refusal_and_neither_repeats_what_the_server_said(
    status: int, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        run(asked(status, body))
    assert PASSWORD not in str(caught.value)
    assert "sign in" not in str(caught.value)


def test_a_redirect_is_not_followed_and_no_credentials_go_there() -> None:
    async def story() -> None:
        async with answering(200, b"{}") as elsewhere, answering(302, Location=elsewhere.uri) as server:
            await rest.find_version(server, "m", None)

    with pytest.raises(InputError, match="leads elsewhere and is not followed"):
        run(story())


def test_a_server_that_sends_a_byte_now_and_then_is_given_up() -> None:
    class Drip(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                if ended.wait(0.1):
                    return
                self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            pass

    ended = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = TrackingServer(uri=f"http://127.0.0.1:{server.server_port}", request_timeout_seconds=1)
        with pytest.raises(OutageError, match="TimeoutError"):
            run(rest.find_version(address, "m", None))
        ended.set()
        server.shutdown()


def test_credentials_go_with_the_look_and_a_refusal_ends_the_wait_with_words(
    connect: Callable[..., None], model_name: str
) -> None:
    async def story() -> list[Any]:
        async with answering(401) as server:
            connect(server.uri, login="ann", password=PASSWORD)
            async with running(version_trigger(model_name)) as (found,):
                await until(lambda: found)
            return found

    (event,) = run(story())
    assert event["status"] == "error"
    assert "refused with 401" in event["message"]
    assert "check login, password or token" in event["message"]
    assert PASSWORD not in json.dumps(event)


def test_a_missing_connection_ends_the_wait_with_words(airflow_home: Path, model_name: str) -> None:
    async def story() -> list[Any]:
        trigger = ModelVersionTrigger(model_name=model_name, mlflow_conn_id="nowhere", poll_interval_seconds=POLL)
        async with running(trigger) as (found,):
            await until(lambda: found)
        return found

    (event,) = run(story())
    assert event["status"] == "error"
    assert "no connection 'nowhere'" in event["message"]


def test_a_watcher_outlives_a_refusal_because_a_person_may_mend_it(
    connect: Callable[..., None], mlflow_server: str, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Or the test would wait for five minutes.
    monkeypatch.setattr("airflow_mlops_provider.triggers.model_event.FAILURES_OF_A_REFUSAL", 0)
    person = Person(mlflow_server, model_name)
    person.makes_model()

    async def story() -> list[Any]:
        async with answering(403) as server:
            connect(server.uri)
            async with running(event_trigger(model_name)) as (news,):
                await looks()
                connect(mlflow_server)
                await looks()
                await aside(person.makes_version)
                await until(lambda: news)
                return list(news)

    assert [one["version"] for one in run(story())] == ["1"]


def test_the_embedded_store_is_read_beside_the_event_loop(
    airflow_home: Path, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WATCHED_MLFLOW", raising=False)
    lags: list[float] = []

    async def server(hook: Any) -> TrackingServer:
        return embedded_server()

    # Without a supervisor nobody can say that a connection is not defined.
    monkeypatch.setattr("airflow_mlops_provider.hooks.mlflow.MlflowHook.aget_server", server)

    def make() -> None:
        with open_registry(embedded_server()) as registry:
            registry.client.create_registered_model(model_name)
            registry.client.create_model_version(model_name, source="s3://bucket/model")
            registry.client.set_registered_model_alias(model_name, "champion", "1")

    async def story() -> list[list[Any]]:
        beating = asyncio.create_task(heartbeat(lags))
        async with running(*(version_trigger(model_name, alias=alias) for alias in ("champion", None) * 5)) as found:
            await looks()
            await aside(make)
            await until(lambda: all(found))
        beating.cancel()
        return found

    assert run(story()) == [[{"status": "found", "version": "1"}]] * 10
    assert len(lags) >= 5
    assert max(lags) < 10


def test_a_certificate_of_unknown_origin_is_an_error_and_its_authority_makes_it_known(mlflow_server: str) -> None:
    module = importlib.import_module("airflow_mlops_provider.registry.rest")
    missing = TrackingServer(uri="https://127.0.0.1:9", ca_bundle="/no/such.pem")
    with pytest.raises(InputError, match="ca_bundle"):
        run(module.find_version(missing, "m", None))
