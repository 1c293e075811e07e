"""The page "Models": one HTML document behind Airflow's own login; GET only, and nothing on it changes anything.

Airflow mounts plugin applications without authentication, so the dependency on the application below is what keeps
strangers out. What Airflow offers for that is not a documented interface; it is imported here and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from airflow_mlops_provider.core.errors import InputError, MLOpsError
from airflow_mlops_provider.plugins.model_table import DagRunRef, ModelTable, read_model_table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

log = logging.getLogger(__name__)

# Longer than a reading should take, shorter than a person waits or a proxy allows.
ANSWER_SECONDS = 12.0

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
}


class _Reader:
    """Reads MLflow in one thread of its own, so that a hung MLflow holds up neither event loop nor thread pool.

    People who look at the same time share one reading.
    """

    def __init__(self, read: Callable[[], ModelTable]) -> None:
        self._read = read
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlops-models")
        self._reading: Future[ModelTable] | None = None

    async def table(self) -> ModelTable:
        if self._reading is None or self._reading.done():
            self._reading = self._thread.submit(self._read)
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._reading)), ANSWER_SECONDS)


def create_app(*, airflow_path: str = "", read: Callable[[], ModelTable] = read_model_table) -> FastAPI:
    """Return the application that Airflow mounts.

    Parameters
    ----------
    airflow_path : str
        Path under which Airflow is shown, without a trailing slash.
    read : callable
        Gives the table; called in a thread.
    """
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Whoever may open Airflow may see models; names of DAGs are shown only to those who may read the DAG.
        dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    )
    reader = _Reader(read)
    template = Environment(
        loader=PackageLoader("airflow_mlops_provider.plugins"), autoescape=True, undefined=StrictUndefined
    ).get_template("models.html")

    @app.middleware("http")
    async def protect(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.get("/models")
    async def models(user: GetUserDep) -> HTMLResponse:
        table, problem = await _table_or_problem(reader)
        readable = await run_in_threadpool(get_auth_manager().get_authorized_dag_ids, user=user, method="GET")
        nonce = secrets.token_urlsafe(16)
        html = template.render(
            table=table, problem=problem, nonce=nonce, run_url=partial(_run_url, airflow_path, readable)
        )
        policy = f"{_HEADERS['Content-Security-Policy']}; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'"
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    return app


async def _table_or_problem(reader: _Reader) -> tuple[ModelTable | None, str]:
    try:
        return await reader.table(), ""
    except TimeoutError:
        return None, f"MLflow did not answer within {ANSWER_SECONDS:.0f} seconds."
    except MLOpsError as error:
        # The details may quote the server; they belong into the log, not before every visitor.
        log.warning("The page of models cannot read MLflow: %s", error)
        if isinstance(error, InputError):
            return None, "MLflow refused, or the connection mlflow_default cannot be used; see the API server log."
        return None, "MLflow cannot be reached; see the API server log."
    except Exception:
        # One broken registry must not look like a broken Airflow.
        log.exception("The page of models failed.")
        return None, "The models cannot be read; see the API server log."


def _run_url(airflow_path: str, readable: set[str], run: DagRunRef | None) -> str | None:
    if run is None or run.dag_id not in readable:
        return None
    return f"{airflow_path}/dags/{quote(run.dag_id, safe='')}/runs/{quote(run.run_id, safe='')}"
