from __future__ import annotations

import os
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry, tags_filter, translate

SECRET = "p@ss word/42"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingServer:
    folder = tmp_path_factory.mktemp("store")
    return TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")


@contextmanager
def listener(*, answers: bool) -> Iterator[tuple[str, list[int]]]:
    """A server that takes connections and closes them, or holds them without a word; counts them."""
    seen: list[int] = []
    held: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            seen.append(1)
            if answers:
                connection.close()
            else:
                held.append(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", seen
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in held:
            connection.close()
        thread.join(5)


def test_the_environment_is_put_back_after_the_session(store: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone-elses.example")
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    before = dict(os.environ)
    with open_registry(store):
        assert os.environ["MLFLOW_TRACKING_URI"] == store.uri
    assert dict(os.environ) == before


def test_the_environment_is_put_back_after_an_error_too() -> None:
    before = dict(os.environ)
    server = TrackingServer(
        uri="http://127.0.0.1:9", username="ann", password=SECRET, request_timeout_seconds=1, request_retries=0
    )
    inside: list[str] = []
    with pytest.raises(OutageError), open_registry(server) as registry:  # noqa: PT012 - the look inside cannot raise
        inside.append(os.environ["MLFLOW_TRACKING_PASSWORD"])
        registry.client.search_experiments()
    assert inside == [SECRET]
    assert dict(os.environ) == before


def test_sessions_of_two_threads_do_not_mix(tmp_path: Path) -> None:
    servers = [TrackingServer(uri=f"sqlite:///{tmp_path}/{n}.db", artifact_root=str(tmp_path)) for n in range(2)]
    wrong: list[str] = []

    def work(server: TrackingServer) -> None:
        for _ in range(5):
            with open_registry(server) as registry:
                registry.experiment_id("shared name")
                if os.environ["MLFLOW_TRACKING_URI"] != server.uri:
                    wrong.append(server.uri)

    before = dict(os.environ)
    threads = [threading.Thread(target=work, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []
    assert dict(os.environ) == before


def test_a_session_may_be_opened_inside_another(store: TrackingServer) -> None:
    with open_registry(store) as outer, open_registry(store) as inner:
        assert inner.experiment_id("nested") == outer.experiment_id("nested")


def test_secrets_are_not_in_the_repr() -> None:
    server = TrackingServer(uri="http://mlflow.example", username="ann", password=SECRET, token="t0ken-value")
    assert SECRET not in repr(server)
    assert "t0ken-value" not in repr(server)


@pytest.mark.parametrize("field", ["password", "token"])
def test_secrets_that_the_server_echoes_are_struck_out(field: str) -> None:
    from mlflow.exceptions import MlflowException

    server = TrackingServer(uri="http://mlflow.example", username="ann", **{field: SECRET})
    error = translate(MlflowException(f"bad {SECRET} and p%40ss%20word%2F42 [SQL: SELECT 1]"), server)
    assert SECRET not in str(error)
    assert "p%40ss" not in str(error)
    assert "SELECT" not in str(error)


def test_what_a_database_says_of_a_row_and_logins_with_an_at_sign_are_struck_out() -> None:
    from mlflow.exceptions import MlflowException

    said = (
        "(psycopg2.errors.NotNullViolation) null value\nDETAIL:  Failing row contains (7, secret-value, 3).\n[SQL: x]"
    )
    error = translate(MlflowException(f"https://ann:p@ss@proxy/ said {said}"), TrackingServer(uri="http://mlflow"))
    assert "https://***@proxy/ said" in str(error)
    assert "null value" in str(error)
    for secret in ("ann", "ss@", "secret-value"):
        assert secret not in str(error)


def test_the_causes_that_a_log_prints_hold_no_secret() -> None:
    from mlflow.exceptions import MlflowException

    server = TrackingServer(uri="sqlite:////nowhere", password=SECRET)
    with pytest.raises(OutageError) as caught, open_registry(server):
        raise MlflowException(f"it said {SECRET}")
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_token_replaces_login_and_password() -> None:
    server = TrackingServer(uri="http://mlflow.example", username="ann", password=SECRET, token="t0ken-value")
    environment = server.environment()
    assert environment["MLFLOW_TRACKING_TOKEN"] == "t0ken-value"
    assert environment["MLFLOW_TRACKING_USERNAME"] is None
    assert environment["MLFLOW_TRACKING_PASSWORD"] is None


def test_an_authority_is_not_given_for_a_certificate_that_is_not_checked() -> None:
    # MLflow raises when both are set.
    environment = TrackingServer(uri="https://mlflow.example", verify_tls=False, ca_bundle="/ca.pem").environment()
    assert environment["MLFLOW_TRACKING_INSECURE_TLS"] == "true"
    assert environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("file:///tmp/mlruns", "file stores"),
        ("/tmp/mlruns", "must start with"),
        ("databricks", "must start with"),
        ("http://ann:pw@mlflow.example", "must not hold a user"),
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[fe80::1]:5000", "link-local"),
        ("http://[FEBF::1%25eth0]", "link-local"),
        ("http://[::ffff:169.254.169.254]:80", "link-local"),
        ("http://2852039166", "link-local"),
        ("http://0xa9fea9fe", "link-local"),
        ("http://0251.0376.0251.0376", "link-local"),
        ("http://169.254.43518", "link-local"),
        ("http://169.254.169.254.", "link-local"),
        ("http://169.254.169%2e254", "link-local"),
        ("http://\uff11\uff16\uff19\u3002254.169.254", "link-local"),
        ("http://ann:pw@[fe80", "is no URL"),
    ],
)
def test_unsafe_addresses_are_refused(uri: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        TrackingServer(uri=uri)
    assert "pw" not in str(caught.value).split("Hint")[0]


@pytest.mark.parametrize("host", ["10.0.0.1", "[fd00::1]", "[::1]", "mlflow", "1.example", "169.254.example"])
def test_other_hosts_are_allowed(host: str) -> None:
    assert TrackingServer(uri=f"http://{host}:5000").uri


@contextmanager
def answering(status: int, headers: dict[str, str]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An HTTP server with one answer to everything; keeps the headers of what it was asked."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - as the base class has it

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("others", ["none", "netrc"])
def test_a_redirect_is_refused_and_its_target_never_asked(
    status: int, others: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password s3cr\n" if others == "netrc" else "")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "model.txt").write_text("files")
    with (
        answering(200, {}) as (target, asked),
        answering(status, {"Location": f"{target}/meta?X-Amz-Signature=abc"}) as (uri, seen),
    ):
        server = TrackingServer(uri=uri, username="ann", password=SECRET)
        calls: list[Callable[[Registry, HttpArtifactRepository], object]] = [
            lambda registry, _: registry.client.get_registered_model("churn"),
            lambda registry, _: registry.client.create_run("0"),
            lambda _, files: files.log_artifact(str(tmp_path / "model.txt")),
            lambda _, files: files.download_artifacts("model.txt", str(tmp_path)),
        ]
        for call in calls:
            said = f"answered {status}, which leads elsewhere .*final address"
            with pytest.raises(InputError, match=said) as caught, open_registry(server) as registry:
                call(registry, HttpArtifactRepository(f"{uri}/api/2.0/mlflow-artifacts/artifacts/1"))
            assert "abc" not in str(caught.value)
        assert asked == []
        assert len(seen) >= len(calls)
    ann = b64encode(f"ann:{SECRET}".encode()).decode()
    assert {headers["Authorization"] for headers in seen} == {f"Basic {ann}"}


def test_a_login_in_the_netrc_file_is_used_where_the_connection_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password s3cr\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with answering(400, {}) as (uri, seen), pytest.raises(InputError), open_registry(TrackingServer(uri=uri)) as one:
        one.client.get_registered_model("churn")
    assert seen[0]["Authorization"] == f"Basic {b64encode(b'bob:s3cr').decode()}"


def test_a_page_that_is_not_mlflows_is_what_a_proxy_shows_while_the_server_restarts() -> None:
    said = "answered 404 with a page that is not MLflow's.*host, port and path"
    with (
        answering(404, {"Content-Type": "text/html"}) as (uri, _),
        pytest.raises(OutageError, match=said),
        open_registry(TrackingServer(uri=uri)) as one,
    ):
        one.client.get_registered_model("churn")


def test_other_authentication_of_mlflow_is_left_as_it_is(
    store: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "kubernetes")
    with open_registry(store):
        assert os.environ["MLFLOW_TRACKING_AUTH"] == "kubernetes"
        assert os.environ["MLFLOW_ALLOW_HTTP_REDIRECTS"] == "false"


def test_what_is_said_of_a_signed_address_holds_no_signature(store: TrackingServer) -> None:
    with pytest.raises(OutageError, match="Max retries exceeded") as caught, open_registry(store):
        raise requests.ConnectionError("Max retries exceeded with url: /k?X-Amz-Credential=AK&X-Amz-Signature=abc (x)")
    assert "abc" not in str(caught.value)
    assert "AK" not in str(caught.value)


def test_an_address_of_the_ui_must_be_a_web_address() -> None:
    with pytest.raises(InputError, match="ui_url"):
        TrackingServer(uri="http://mlflow.example", ui_url="javascript:alert(1)")


def test_a_missing_ca_bundle_is_an_error_of_the_connection() -> None:
    server = TrackingServer(uri="https://mlflow.example", ca_bundle="/no/such/file.pem")
    with pytest.raises(InputError, match=r"/no/such/file\.pem"), open_registry(server):
        pass


def test_a_refused_connection_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    server = TrackingServer(uri=f"http://127.0.0.1:{port}", request_retries=1)
    with pytest.raises(OutageError, match=f"127.0.0.1:{port}"), open_registry(server) as registry:
        registry.client.search_experiments()


def test_a_call_tries_exactly_as_often_as_its_budget_says() -> None:
    with listener(answers=True) as (uri, seen):
        server = TrackingServer(uri=uri, request_retries=2)
        with pytest.raises(OutageError), open_registry(server) as registry:
            registry.client.search_experiments()
        assert len(seen) == 3


def test_a_hung_server_is_an_outage_after_the_time_limit() -> None:
    with listener(answers=False) as (uri, _):
        server = TrackingServer(uri=uri, request_timeout_seconds=1, request_retries=0)
        with pytest.raises(OutageError, match="time"), open_registry(server) as registry:
            registry.client.search_experiments()


def test_the_default_budget_ends_within_about_a_minute() -> None:
    server = TrackingServer(uri="http://mlflow.example")
    # Waits of 0, 2 and 4 s, each with up to 1 s of jitter.
    assert server.request_timeout_seconds * (server.request_retries + 1) + 0 + 2 + 4 + 3 <= 70


@pytest.mark.parametrize(
    ("status", "kind"), [(404, InputError), (403, InputError), (503, OutageError), (429, OutageError)]
)
def test_errors_of_file_transfer_are_translated_too(store: TrackingServer, status: int, kind: type[Exception]) -> None:
    answer = requests.Response()
    answer.status_code = status
    with pytest.raises(kind, match=str(status)), open_registry(store):
        raise requests.HTTPError(f"{status} for url", response=answer)


def test_a_broken_transfer_is_an_outage(store: TrackingServer) -> None:
    with pytest.raises(OutageError), open_registry(store):
        raise requests.ConnectionError("reset")


def test_other_errors_pass_through_untouched(store: TrackingServer) -> None:
    with pytest.raises(ZeroDivisionError), open_registry(store):
        _ = 1 / 0


def test_an_unknown_model_is_an_input_error(store: TrackingServer) -> None:
    with pytest.raises(InputError, match="nobody"), open_registry(store) as registry:
        registry.client.get_registered_model("nobody")


def test_an_experiment_is_created_once_and_found_again(store: TrackingServer) -> None:
    with open_registry(store) as registry:
        made = registry.experiment_id("churn / α")
        assert registry.experiment_id("churn / α") == made
        location = registry.client.get_experiment(made).artifact_location
    assert location.endswith("churn%20%2F%20%CE%B1")


def test_racing_processes_agree_on_the_experiment(store: TrackingServer) -> None:
    # The second asker finds no experiment, then loses the creation: a client that hides the first answer.
    with open_registry(store) as registry:
        made = registry.experiment_id("contested")
        real = registry.client.get_experiment_by_name
        answers: list[Any] = [lambda _: None, real, real]
        registry.client.get_experiment_by_name = lambda name: answers.pop(0)(name)
        assert registry.experiment_id("contested") == made


def test_a_deleted_experiment_is_named(store: TrackingServer) -> None:
    with open_registry(store) as registry:
        registry.client.delete_experiment(registry.experiment_id("gone"))
        with pytest.raises(InputError, match=r"'gone'.*deleted"):
            registry.experiment_id("gone")


def test_addresses_for_people_use_the_ui_url_and_quote_names() -> None:
    server = TrackingServer(uri="http://internal:5000", ui_url="https://mlflow.example.com/base/")
    with open_registry(server) as registry:
        assert (
            registry.run_url(experiment_id="1", run_id="ab", artifact="report/a b.html")
            == "https://mlflow.example.com/base/#/experiments/1/runs/ab/artifacts/report/a%20b.html"
        )
        assert (
            registry.version_url(model_name="a/b c", version="3")
            == "https://mlflow.example.com/base/#/models/a%2Fb%20c/versions/3"
        )


def test_an_embedded_store_has_no_addresses(store: TrackingServer) -> None:
    with open_registry(store) as registry:
        assert registry.run_url(experiment_id="1", run_id="ab") is None
        assert registry.version_url(model_name="churn", version="3") is None


def test_filters_find_by_all_tags(store: TrackingServer) -> None:
    with open_registry(store) as registry:
        experiment = registry.experiment_id("tags")
        wanted = registry.client.create_run(experiment, tags={"mlops.op_key": "k1", "colour": "red"})
        registry.client.create_run(experiment, tags={"mlops.op_key": "k1", "colour": "blue"})
        found = registry.client.search_runs([experiment], tags_filter({"mlops.op_key": "k1", "colour": "red"}))
    assert [run.info.run_id for run in found] == [wanted.info.run_id]


@pytest.mark.parametrize("tags", [{"a": "x' OR 'y"}, {"a` = 'x": "y"}])
def test_filters_refuse_quotes(tags: dict[str, str]) -> None:
    with pytest.raises(InputError, match="quotes"):
        tags_filter(tags)
