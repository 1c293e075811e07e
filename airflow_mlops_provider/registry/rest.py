"""The one question a triggerer asks MLflow again and again: which version is there now.

MLflow's own client blocks, and takes its settings from the environment of the whole process; a triggerer serves
thousands of waits on one event loop. So this speaks MLflow's REST API itself: nothing here may block, follow a
redirect, wait or read without bounds, or write.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import httpx

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.session import TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version, by_alias, newest

MAX_ANSWER_BYTES = 4 << 20
_REFUSED = {
    401: "Hint: check login, password or token of the connection.",
    403: "Hint: the account lacks a permission.",
}
# Of the errors that reading a bundle of certificates ends with; the others, such as too many open files, may pass.
_NO_BUNDLE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, ssl.SSLError)
# A store in a file has no server, so its client must be called; one thread is enough for one machine, and leaves the
# event loop's own threads, of which there are few, to others.
_EMBEDDED = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlops-embedded-store")


async def find_version(server: TrackingServer, model_name: str, alias: str | None) -> Version | None:
    """Return the version under an alias, or the newest one.

    Parameters
    ----------
    server : TrackingServer
        Where, and as whom.
    model_name : str
        Which model.
    alias : str or None
        None asks for the newest version.

    Returns
    -------
    Version or None
        None when there is no such model, version or alias. Tags are left out.

    Raises
    ------
    InputError
        The server refuses us, or is none of MLflow's: asking again gives the same.
    OutageError
        There was no answer within the time that `server` allows, or one of overload or failure.
    """
    if not server.uri.startswith("http"):
        return await asyncio.get_running_loop().run_in_executor(_EMBEDDED, _ask_store, server, model_name, alias)
    try:
        async with asyncio.timeout(server.request_timeout_seconds):
            status, body = await _get(server, "alias" if alias else "get", {"name": model_name, "alias": alias})
    except (httpx.HTTPError, TimeoutError, OSError) as error:
        raise _unreachable(error, server) from None  # what httpx says may name a proxy with its password
    except httpx.InvalidURL:
        raise InputError(f"The MLflow address {server.uri!r} is no URL.") from None
    return _version(_answer(status, body, server, by_alias=alias is not None), model_name)


def _ask_store(server: TrackingServer, model_name: str, alias: str | None) -> Version | None:
    with open_registry(server) as registry:
        return newest(registry, model_name) if alias is None else by_alias(registry, model_name, alias)


async def _get(server: TrackingServer, what: str, params: dict[str, str | None]) -> tuple[int, bytes]:
    async with (
        # For one look: the next one comes when an idle connection has long been closed.
        httpx.AsyncClient(verify=await _tls(server), timeout=server.request_timeout_seconds) as client,
        client.stream(
            "GET",
            f"{server.uri.rstrip('/')}/api/2.0/mlflow/registered-models/{what}",
            params={key: value for key, value in params.items() if value is not None},
            headers={"Authorization": f"Bearer {server.token}"} if server.token else {},
            auth=httpx.BasicAuth(server.username, server.password or "")
            if server.username and not server.token
            else None,
        ) as answer,
    ):
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise OutageError(f"MLflow at {server.uri} answered with more than {MAX_ANSWER_BYTES} bytes.")
        return answer.status_code, body


async def _tls(server: TrackingServer) -> ssl.SSLContext:
    if not server.uri.startswith("https"):
        return _no_tls()
    try:
        # Reading the authorities takes a tenth of a second, which is long for an event loop.
        return await asyncio.to_thread(_tls_context, server.verify_tls, server.ca_bundle)
    except _NO_BUNDLE as error:
        raise InputError(
            f"ca_bundle of the MLflow connection must be a PEM file on this machine; got {server.ca_bundle!r}."
        ) from error


@lru_cache(maxsize=16)
def _tls_context(verify_tls: bool, ca_bundle: str | None) -> ssl.SSLContext:
    if ca_bundle and verify_tls:
        return ssl.create_default_context(cafile=ca_bundle)
    return httpx.create_ssl_context(verify=verify_tls)


@lru_cache(maxsize=1)
def _no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _unreachable(error: Exception, server: TrackingServer) -> InputError | OutageError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return InputError(
            f"The certificate of MLflow at {server.uri} is not trusted. "
            "Hint: give the ca_bundle of the connection, a PEM file with the authority that signed it."
        )
    return OutageError(f"MLflow at {server.uri} cannot be reached: {type(error).__name__}.")


def _answer(status: int, body: bytes, server: TrackingServer, *, by_alias: bool) -> dict[str, Any] | None:
    """Return what MLflow answered, or None when it says that there is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    code = answer.get("error_code") if isinstance(answer, dict) else None
    if status == httpx.codes.OK and isinstance(answer, dict):
        return answer
    if status == httpx.codes.NOT_FOUND and code == "RESOURCE_DOES_NOT_EXIST":
        return None
    # Names and aliases were checked before, so this says that the model has no such alias.
    if by_alias and status == httpx.codes.BAD_REQUEST and code == "INVALID_PARAMETER_VALUE":
        return None
    if httpx.codes.is_redirect(status):
        raise InputError(
            f"MLflow at {server.uri} answered {status}, which leads elsewhere and is not followed. "
            "Hint: give the connection the final address; a page for signing in is none."
        )
    if status in _REFUSED:
        raise InputError(f"MLflow at {server.uri} refused with {status}. {_REFUSED[status]}")
    # A 404 that MLflow did not write, or a page instead of JSON, is what a proxy shows while the server restarts.
    raise OutageError(f"MLflow at {server.uri} answered {status} and nothing of use.")


def _version(answer: dict[str, Any] | None, model_name: str) -> Version | None:
    if answer is None:
        return None
    model = answer.get("registered_model") or {}
    found = [answer["model_version"]] if "model_version" in answer else model.get("latest_versions") or []
    versions = [
        Version(
            model_name=model_name,
            version=str(one["version"]),
            run_id=one.get("run_id") or None,
            model_id=one.get("model_id") or None,
            tags={},
            created_ms=int(one.get("creation_timestamp") or 0),
        )
        for one in found
    ]
    # MLflow lists the newest of each stage.
    return max(versions, key=lambda one: int(one.version), default=None)
