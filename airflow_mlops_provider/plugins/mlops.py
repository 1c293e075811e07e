"""The plugin Airflow loads: a page "Models" in the navigation.

Scheduler, workers and the command line load plugins too, so nothing of the page is imported before its first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from fastapi import FastAPI

URL_PREFIX = "/mlops"


class _OnFirstRequest:
    """An ASGI application that is built when it is first called; only the API server calls it."""

    def __init__(self) -> None:
        self._app: FastAPI | None = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if self._app is None:
            from airflow_mlops_provider.plugins.models_page import create_app

            self._app = create_app(airflow_path=airflow_path())
        await self._app(scope, receive, send)

    def __repr__(self) -> str:
        return "airflow_mlops_provider.plugins.models_page"


def airflow_path() -> str:
    """Return the path under which a reverse proxy shows Airflow, without a trailing slash; mostly ``""``."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class MLOpsPlugin(AirflowPlugin):
    """Adds the read-only page of registered models: who is champion, who challenges, and who decided it."""

    name = "mlops"
    # Airflow's own type for these is a mutable class attribute.
    fastapi_apps = [{"app": _OnFirstRequest(), "url_prefix": URL_PREFIX, "name": "MLOps models"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - as above
        {
            "name": "Models",
            "href": f"{airflow_path()}{URL_PREFIX}/models",
            "destination": "nav",
            "category": "browse",
            "url_route": "models",
        }
    ]
