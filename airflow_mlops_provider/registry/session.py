"""One scoped way to talk to MLflow: where the server is, who we are, how long we wait, and what a failure means.

MLflow's client takes its credentials, timeouts and retries from the process environment only. A session sets them,
hands out a client, and puts the environment back, so that no secret outlives it and no other code in the worker is
steered by it. The environment belongs to the whole process, so one thread at a time holds a session. Nothing here may
call MLflow's fluent API, whose active run is global.
"""

from __future__ import annotations

import os
import re
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry import redirects
from airflow_mlops_provider.registry.address import is_link_local
from airflow_mlops_provider.registry.artifact_store import artifact_store_error

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from requests import RequestException

_URL_QUERY = re.compile(r"\?[\w.%~-]+=[^\s'\")>]*")
_URL_LOGIN = re.compile(r"(\w+://)[^\s/]*@")
# What PostgreSQL says of the values of a row.
_ROW_VALUES = re.compile(r"\bDETAIL:.*", re.DOTALL)
# Reentrant, because a session may be opened inside another of the same thread.
_ONE_SESSION_AT_A_TIME = threading.RLock()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingServer:
    """Address of and access to one MLflow store.

    Parameters
    ----------
    uri : str
        ``http(s)://host[:port][/path]``, or ``sqlite:///…`` for the embedded store.
    username, password : str or None
        HTTP basic authentication.
    token : str or None
        Bearer token; used instead of user and password.
    verify_tls : bool
        Whether the server's certificate is checked.
    ca_bundle : str or None
        Path of a PEM file with the authorities to trust.
    ui_url : str or None
        Where people open the MLflow UI, when it differs from `uri`.
    artifact_root : str or None
        Where new experiments keep files; None leaves it to the server.
    request_timeout_seconds, request_retries : int
        Budget of one call. With the defaults it answers or fails within about a minute: at most 15 s for each of four
        tries, with waits of 0, 2 and 4 s between them. An answer that began has as long again to come to its end.
    """

    uri: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    verify_tls: bool = True
    ca_bundle: str | None = None
    ui_url: str | None = None
    artifact_root: str | None = None
    request_timeout_seconds: int = 15
    request_retries: int = 3

    def __post_init__(self) -> None:
        parts = _split(self.uri)
        if parts.scheme not in {"http", "https", "sqlite"}:
            raise InputError(
                f"The MLflow address must start with http://, https:// or sqlite://; got scheme {parts.scheme!r}. "
                "Hint: file stores lose concurrent writes; run an MLflow server."
            )
        if parts.username or parts.password:
            raise InputError(
                "The MLflow address must not hold a user or password. "
                "Hint: put them into the login and password of the Airflow connection."
            )
        if parts.hostname and is_link_local(parts.hostname):
            raise InputError(f"The MLflow address must not be link-local; got host {parts.hostname!r}.")
        if self.ui_url and urlsplit(self.ui_url).scheme not in {"http", "https"}:
            raise InputError(f"ui_url must start with http:// or https://; got {self.ui_url!r}.")

    @property
    def ui_base(self) -> str | None:
        """Address of the UI without a trailing slash, or None when the store has no UI."""
        if self.ui_url:
            return self.ui_url.rstrip("/")
        return self.uri.rstrip("/") if self.uri.startswith("http") else None

    def environment(self) -> dict[str, str | None]:
        """Return what the MLflow client reads from the environment; None means unset."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_REGISTRY_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": None if self.token else self.username,
            "MLFLOW_TRACKING_PASSWORD": None if self.token else self.password,
            "MLFLOW_TRACKING_TOKEN": self.token,
            "MLFLOW_TRACKING_INSECURE_TLS": None if self.verify_tls else "true",
            # MLflow refuses an authority for a certificate it is told not to check.
            "MLFLOW_TRACKING_SERVER_CERT_PATH": self.ca_bundle if self.verify_tls else None,
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(self.request_timeout_seconds),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(self.request_retries),
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            # A server may ask for an hour; Airflow's own retry delay is the place to wait that long.
            "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the task's buttons lead there
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            # A model's files are data: nothing that MLflow loads by itself may run code from them.
            "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
            "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """An open session: the client, and the addresses of what it makes."""

    client: MlflowClient
    server: TrackingServer

    def experiment_id(self, name: str) -> str:
        """Return the id of experiment `name`, creating it when missing."""
        from mlflow.exceptions import MlflowException

        for _ in range(2):
            experiment = self.client.get_experiment_by_name(name)
            if experiment is not None:
                if experiment.lifecycle_stage != "active":
                    raise InputError(
                        f"MLflow experiment {name!r} at {self.server.uri} is deleted. "
                        f"Hint: bring it back with 'mlflow experiments restore --experiment-id "
                        f"{experiment.experiment_id}', or give another experiment_name."
                    )
                return str(experiment.experiment_id)
            root = self.server.artifact_root
            try:
                return str(
                    self.client.create_experiment(
                        name, artifact_location=None if root is None else f"{root}/{quote(name, safe='')}"
                    )
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        raise OutageError(f"MLflow experiment {name!r} neither exists nor can be created at {self.server.uri}.")

    def run_url(self, *, experiment_id: str, run_id: str, artifact: str | None = None) -> str | None:
        """Return the UI address of a run, or of one of its artifacts."""
        base = self.server.ui_base
        if base is None:
            return None
        tail = "" if artifact is None else f"/artifacts/{quote(artifact)}"
        return f"{base}/#/experiments/{experiment_id}/runs/{run_id}{tail}"

    def version_url(self, *, model_name: str, version: str) -> str | None:
        """Return the UI address of a model version."""
        base = self.server.ui_base
        return None if base is None else f"{base}/#/models/{quote(model_name, safe='')}/versions/{version}"


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        # Its text repeats the address, which may hold a password.
        raise InputError("The MLflow address is no URL. Hint: e.g. http://mlflow.example:5000.") from None


@contextmanager
def open_registry(server: TrackingServer) -> Iterator[Registry]:
    """Open a session with an MLflow store.

    Parameters
    ----------
    server : TrackingServer
        Where, and as whom.

    Yields
    ------
    Registry
        Valid inside the ``with`` block only.

    Raises
    ------
    InputError
        The server refused what was asked (wrong password, missing permission, no such model, bad name).
    OutageError
        The server could not be reached, was overloaded or failed.
    """
    if server.ca_bundle and server.verify_tls and not os.path.exists(server.ca_bundle):
        raise InputError(
            f"ca_bundle of the MLflow connection must be a file on this machine; got {server.ca_bundle!r}."
        )
    with _ONE_SESSION_AT_A_TIME, _environment({**server.environment(), **redirects.environment()}):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        redirects.register()
        try:
            yield Registry(client=MlflowClient(server.uri, registry_uri=server.uri), server=server)
        except (MlflowException, RequestException) as error:
            # Not "from error": its text may hold what was scrubbed from ours, and a task's log prints causes.
            raise translate(error, server) from None
        except Exception as error:
            translated = artifact_store_error(error)
            if translated is None:
                raise
            raise translated from None


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    _set_environment(values)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def translate(error: MlflowException | RequestException, server: TrackingServer) -> InputError | OutageError:
    """Say in our terms what an error of the MLflow client means, without secrets and without the server's SQL."""
    status, code = _status_and_code(error)
    text = scrubbed(str(error), server)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return InputError(
            f"The certificate of MLflow at {server.uri} is not trusted: {text}. "
            "Hint: give the ca_bundle of the connection, a PEM file with the authority that signed it."
        )
    if status in {408, 429} or status >= 500:
        return OutageError(
            f"MLflow at {server.uri} failed ({code}): {text}. What was logged before stays; "
            "no version was promoted by this call. A retry may succeed."
        )
    if code == "ENDPOINT_NOT_FOUND" and getattr(error, "json", None) is None:
        # MLflow speaks JSON; a page is what a proxy shows while the server restarts, or what lies beside the server.
        return OutageError(
            f"MLflow at {server.uri} answered 404 with a page that is not MLflow's: {text}. A retry may succeed. "
            "Hint: if it does not, check host, port and path of the connection."
        )
    hint = {
        401: " Hint: check login, password or token of the connection.",
        403: " Hint: the account lacks a permission for this.",
    }.get(status, "")
    return InputError(f"MLflow at {server.uri} refused ({code}): {text}.{hint}")


def _status_and_code(error: MlflowException | RequestException) -> tuple[int, str]:
    from requests import RequestException

    if isinstance(error, RequestException):
        # Files travel by plain HTTP, outside of MLflow's own errors; without an answer the server was not reached.
        status = 503 if error.response is None else error.response.status_code
        return status, f"{type(error).__name__} {status}"
    return error.get_http_status_code(), error.error_code  # type: ignore[no-untyped-call]  # MLflow leaves it untyped


def scrubbed(text: str, server: TrackingServer) -> str:
    """Return what an error says without the secrets of the connection, the queries and logins of URLs, and SQL."""
    text = _ROW_VALUES.sub("", text.split("[SQL:", maxsplit=1)[0]).strip().rstrip(".")
    basic = b64encode(f"{server.username}:{server.password}".encode()).decode() if server.password else None
    for secret in (basic, server.password, server.token):
        if secret:
            text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    # The address of a signed request is as good as a password.
    return _URL_LOGIN.sub(r"\1***@", _URL_QUERY.sub("?***", text))


def tags_filter(tags: Mapping[str, Any]) -> str:
    """Return an MLflow search filter for versions or runs carrying all `tags`; quotes cannot be injected."""
    for key, value in tags.items():
        if "'" in str(value) or "`" in key:
            raise InputError(f"Tag {key!r} must not contain quotes in a search; got {value!r}.")
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
