"""Refuses answers of an MLflow server that lead elsewhere or do not come to their end; must never tell where to.

MLflow can be told not to follow redirects, but then takes the answer to a stored or fetched file for a success; and its
time-out is one of each read, so that an answer of one byte a second lasts as long as it is long. So answers pass a
check, which MLflow's own extension point for authentication lets in. Files are read as a stream, and take their time.
"""

from __future__ import annotations

import os
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_NAME = "airflow-mlops-provider"
_AUTH, _SIGV4 = "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4"
_REDIRECTS = range(300, 400)
_BAD_REQUEST = 400
_PART_BYTES = 1 << 16


def environment() -> dict[str, str]:
    """Return what the MLflow client reads from the environment, beside what it has for other authentication."""
    settings = {"MLFLOW_ALLOW_HTTP_REDIRECTS": "false"}
    # Who signs requests in another way needs the extension point for that.
    if not os.environ.get(_AUTH) and os.environ.get(_SIGV4, "false").lower() in {"false", "0", ""}:
        settings[_AUTH] = _NAME
    return settings


def register() -> None:
    """Let MLflow find the check; may be called again."""
    from mlflow.tracking.request_auth.registry import _request_auth_provider_registry as known

    if not any(one.get_name() == _NAME for one in known):
        known.register(_Provider)  # type: ignore[no-untyped-call]  # MLflow leaves it untyped


class _Provider:
    """What MLflow asks for by its name."""

    def get_name(self) -> str:
        return _NAME

    def get_auth(self) -> _Check:
        return _Check()


class _Check:
    """Looks at the answer of one request, whose authentication is left as it is."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        from requests.auth import HTTPBasicAuth
        from requests.utils import get_netrc_auth

        # What requests does for who gives no authentication.
        if "Authorization" not in request.headers and (login := get_netrc_auth(request.url or "")):
            request = HTTPBasicAuth(*login)(request)
        request.register_hook("response", _checked)
        return request


def _checked(response: Response, *, stream: bool = False, timeout: Any = None, **_: Any) -> Response:
    """Return the answer, read to its end unless it is a file, or a refusal in its place."""
    if response.status_code in _REDIRECTS:
        return _refused(response)
    if not stream and isinstance(timeout, int | float) and hasattr(response.raw, "read1"):
        _read_within(response, timeout)
    return response


def _read_within(response: Response, seconds: float) -> None:
    """Read an answer as its bytes come, for at most so long."""
    from requests.exceptions import ConnectionError as BrokenOff
    from requests.exceptions import ReadTimeout
    from urllib3.exceptions import HTTPError

    deadline, parts = time.monotonic() + seconds, []
    while True:
        try:
            part = response.raw.read1(_PART_BYTES, decode_content=True)
        except HTTPError as error:
            raise BrokenOff(error, request=response.request) from error
        if not part:
            break
        parts.append(part)
        if time.monotonic() > deadline:
            response.close()
            raise ReadTimeout(f"the answer did not come to its end within {seconds:g} s", request=response.request)
    # What requests does after reading; it offers no other way to read as bytes come.
    response._content, response._content_consumed = b"".join(parts), True


def _refused(response: Response) -> Response:
    """Return a refusal in place of an answer that leads elsewhere."""
    from requests import Response as Answer

    response.close()
    refusal = Answer()
    refusal.status_code = _BAD_REQUEST
    refusal.reason = "Redirect"
    refusal.url, refusal.request, refusal.encoding = response.url, response.request, "utf-8"
    refusal.raw = BytesIO(
        f"it answered {response.status_code}, which leads elsewhere and is not followed. Hint: give the connection the "
        "final address; a page for signing in is none".encode()
    )
    return refusal
