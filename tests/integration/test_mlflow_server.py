from __future__ import annotations

import base64
import datetime
import http.client
import http.server
import ipaddress
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.registry.session import TrackingServer, open_registry

PASSWORD = "c0rrect horse/battery"
TOKEN = "t0ken.of-the-service"
BASIC = "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()


@contextmanager
def front(target: str, *, accepted: set[str | None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A reverse proxy as stands before many MLflow servers: passes on requests whose credentials it accepts."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") not in accepted:
                self.answer(401, f"you sent {self.headers.get('Authorization')}".encode())
                return
            upstream = http.client.HTTPConnection(urlsplit(target).netloc, timeout=30)
            upstream.request(self.command, self.path, body, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
            self.answer(answer.status, answer.read())

        do_GET = do_POST = do_PATCH = do_DELETE = forward  # noqa: N815 - the standard library's names

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture(scope="module")
def guarded(mlflow_server: str) -> Iterator[str]:
    with front(mlflow_server, accepted={BASIC, f"Bearer {TOKEN}"}) as url:
        yield url


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a certificate of its own making for 127.0.0.1, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture(scope="module")
def encrypted(mlflow_server: str, certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with front(mlflow_server, accepted={None}, tls=context) as url:
        yield url


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MlflowHook]:
    """Define the connection as Airflow users do, and return its hook."""

    def define(url: str, *, login: str = "", password: str = "", **extra: str) -> MlflowHook:
        parts = urlsplit(url)
        user = f"{login}:{quote(password, safe='')}@" if login else ""
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in extra.items())
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", f"mlflow://{user}{parts.netloc}/{parts.scheme}?{query}")
        return MlflowHook()

    return define


def count_experiments(server: TrackingServer) -> int:
    with open_registry(server) as registry:
        return len(registry.client.search_experiments())


def test_a_session_reads_and_writes_on_a_real_server(connect: Callable[..., MlflowHook], mlflow_server: str) -> None:
    with connect(mlflow_server).open() as registry:
        experiment = registry.experiment_id("over http")
        assert registry.client.get_experiment(experiment).name == "over http"
        assert registry.run_url(experiment_id=experiment, run_id="x", artifact=None).startswith(mlflow_server)


def test_the_test_button_finds_a_server_that_answers(connect: Callable[..., MlflowHook], mlflow_server: str) -> None:
    assert connect(mlflow_server).test_connection() == (True, f"MLflow at {mlflow_server} answers.")


def test_login_and_password_open_a_guarded_server(connect: Callable[..., MlflowHook], guarded: str) -> None:
    hook = connect(guarded, login="ann", password=PASSWORD)
    assert hook.test_connection()[0]
    assert count_experiments(hook.get_server()) >= 1


def test_a_token_opens_a_guarded_server_even_beside_a_wrong_password(
    connect: Callable[..., MlflowHook], guarded: str
) -> None:
    hook = connect(guarded, login="ann", password="wrong-password", token=TOKEN)
    assert hook.test_connection()[0]
    assert count_experiments(hook.get_server()) >= 1


@pytest.mark.parametrize("credentials", [{"login": "ann", "password": "wrong-password"}, {"token": "wrong-token"}, {}])
def test_wrong_credentials_are_an_input_error_that_does_not_tell_them(
    connect: Callable[..., MlflowHook], guarded: str, credentials: dict[str, str]
) -> None:
    hook = connect(guarded, **credentials)
    before = dict(os.environ)
    with pytest.raises(InputError, match="check login, password or token") as caught:
        count_experiments(hook.get_server())
    basic = base64.b64encode(b"ann:wrong-password").decode()
    assert not [secret for secret in ("wrong-token", "wrong-password", basic) if secret in str(caught.value)]
    assert dict(os.environ) == before
    ok, message = hook.test_connection()
    assert not ok
    assert message.endswith("answered 401.")


def test_a_certificate_of_unknown_origin_is_refused(connect: Callable[..., MlflowHook], encrypted: str) -> None:
    hook = connect(encrypted)
    with pytest.raises(InputError, match="ca_bundle"):
        count_experiments(hook.get_server())
    assert not hook.test_connection()[0]


def test_a_ca_bundle_makes_the_certificate_known(
    connect: Callable[..., MlflowHook], encrypted: str, certificate: Path
) -> None:
    hook = connect(encrypted, ca_bundle=str(certificate))
    assert hook.test_connection()[0]
    assert count_experiments(hook.get_server()) >= 1


def test_an_unchecked_certificate_is_accepted(
    connect: Callable[..., MlflowHook], encrypted: str, certificate: Path
) -> None:
    hook = connect(encrypted, verify_tls="false", ca_bundle=str(certificate))
    assert hook.test_connection()[0]
    assert count_experiments(hook.get_server()) >= 1
