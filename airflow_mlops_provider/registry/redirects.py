"""Refuses answers of an MLflow server that lead elsewhere; must never tell where to.

MLflow can be told not to follow them, but then takes the answer to a stored or fetched file for a success. So requests
pass a check, which MLflow's own extension point for authentication lets in.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_NAME = "airflow-mlops-provider"
_AUTH, _SIGV4 = "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4"
_REDIRECTS = range(300, 400)
_BAD_REQUEST = 400


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
        request.register_hook("response", _refused)
        return request


def _refused(response: Response, **_: Any) -> Response:
    """Return a refusal in place of an answer that leads elsewhere."""
    from requests import Response as Answer

    if response.status_code not in _REDIRECTS:
        return response
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
