"""What the page "Models" shows, read from MLflow: registered models with their champion and challenger.

Everything read here was written by others, perhaps by hand in the MLflow UI: a missing or broken tag leaves its cell
empty and never the page. Nothing here writes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

ALIASES = ("champion", "challenger")
# A page that people wait for: what is not there by then is left out, and the page says so.
MAX_MODELS = 200
READ_SECONDS = 8.0
REQUEST_SECONDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunRef:
    """The DAG run that promoted a version."""

    dag_id: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One aliased version as the page shows it; None and ``""`` stand for what no tag says."""

    alias: str
    version: str
    url: str | None
    metric: str
    verdict: str
    verdict_against: str | None
    evaluated_at: str
    promoted_at: str
    promoted_by: DagRunRef | None
    previous_champion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One registered model; `versions` holds champion, then challenger, as far as they exist."""

    name: str
    url: str | None
    versions: tuple[VersionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """The rows, and where they were read; `complete` is false when there are more than the page waited for."""

    address: str
    models: tuple[ModelRow, ...]
    complete: bool


def read_model_table() -> ModelTable:
    """Read the registered models of the connection ``mlflow_default``.

    Returns
    -------
    ModelTable
        By name. At most 200 models, and what can be read in about 8 s.

    Raises
    ------
    InputError
        The connection cannot be used, or MLflow refused.
    OutageError
        MLflow did not answer within its one try of 4 s.
    """
    server = MlflowHook().get_server()
    address = server.ui_base or "the embedded store"
    if _is_unused_store(server):
        return ModelTable(address=address, models=(), complete=True)
    patience = replace(server, request_timeout_seconds=REQUEST_SECONDS, request_retries=0)
    deadline = time.monotonic() + READ_SECONDS
    rows: list[ModelRow] = []
    with open_registry(patience) as registry:
        for model in _models(registry):
            if time.monotonic() > deadline or len(rows) == MAX_MODELS:
                return ModelTable(address=address, models=tuple(rows), complete=False)
            rows.append(_model_row(registry, model))
    return ModelTable(address=address, models=tuple(rows), complete=True)


def _is_unused_store(server: TrackingServer) -> bool:
    # Opening a store that is not there would create one, and looking must not.
    prefix = "sqlite:///"
    return server.uri.startswith(prefix) and not Path(server.uri.removeprefix(prefix)).exists()


def _models(registry: Registry) -> Iterator[RegisteredModel]:
    token: str | None = None
    while True:
        page = registry.client.search_registered_models(max_results=100, order_by=["name ASC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _model_row(registry: Registry, model: RegisteredModel) -> ModelRow:
    base = registry.server.ui_base
    found = ((alias, _version(registry, model, alias)) for alias in ALIASES)
    return ModelRow(
        name=model.name,
        url=None if base is None else f"{base}/#/models/{quote(model.name, safe='')}",
        versions=tuple(_version_row(registry, alias, version) for alias, version in found if version is not None),
    )


def _version(registry: Registry, model: RegisteredModel, alias: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    number = model.aliases.get(alias)
    if number is None:
        return None
    try:
        return registry.client.get_model_version(model.name, str(number))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # deleted since the list was made
            return None
        raise


def _version_row(registry: Registry, alias: str, version: ModelVersion) -> VersionRow:
    tags: Mapping[str, str] = version.tags or {}
    blessing = _object(tags.get("mlops.blessing"))
    against = blessing.get("champion_version")
    return VersionRow(
        alias=alias,
        version=str(version.version),
        url=registry.version_url(model_name=version.name, version=str(version.version)),
        metric=metric_text(tags),
        verdict=str(blessing.get("verdict") or ""),
        verdict_against=None if against is None else str(against),
        evaluated_at=str(blessing.get("evaluated_at") or ""),
        promoted_at=tags.get("mlops.promoted_at", ""),
        promoted_by=_dag_run(_object(tags.get("mlops.promoted_by"))),
        previous_champion=tags.get("mlops.previous_champion", ""),
    )


def metric_text(tags: Mapping[str, str]) -> str:
    """Return the primary metric with its interval, as far as the tags give them.

    Parameters
    ----------
    tags : mapping of str to str
        Tags of a model version.

    Returns
    -------
    str
        ``""`` without a finite value.

    Examples
    --------
    >>> metric_text({"mlops.primary_metric": "roc_auc", "mlops.primary_value": "0.8427",
    ...              "mlops.primary_lower": "0.8219", "mlops.primary_upper": "0.8623"})
    'roc_auc 0.8427 [0.8219, 0.8623]'
    >>> metric_text({"mlops.primary_metric": "roc_auc", "mlops.primary_value": "nan"})
    ''
    """
    value, lower, upper = (_number(tags.get(f"mlops.primary_{part}")) for part in ("value", "lower", "upper"))
    if value is None:
        return ""
    interval = "" if lower is None or upper is None else f" [{lower:.4g}, {upper:.4g}]"
    return f"{tags.get('mlops.primary_metric', '')} {value:.4g}{interval}".strip()


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _dag_run(value: Mapping[str, Any]) -> DagRunRef | None:
    dag_id, run_id = value.get("dag_id"), value.get("run_id")
    if isinstance(dag_id, str) and isinstance(run_id, str):
        return DagRunRef(dag_id=dag_id, run_id=run_id)
    return None
