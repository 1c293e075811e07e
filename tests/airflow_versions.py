"""Where Airflow keeps what only tests use, in the versions that are tested; what the package itself needs of Airflow
comes from where all versions have it."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

try:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
except ImportError:  # 3.1
    from airflow.models.dagbag import DagBag, sync_bag_to_db

try:
    from airflow.sdk.providers_manager_runtime import HookInfo
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime as TaskProviders
except ImportError:  # 3.1
    from airflow.providers_manager import HookInfo
    from airflow.providers_manager import ProvidersManager as TaskProviders

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # 3.1
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = ["DagBag", "DagSerialization", "HookInfo", "TaskProviders", "sync_bag_to_db"]

# Before 3.3, whoever draws the forms of connections imports the hooks, whether they have a part in it or not.
FORMS_IMPORT_HOOKS = not AIRFLOW_V_3_3_PLUS


def fastapi_apps() -> list[dict[str, Any]]:
    """Return what plugins mount in the API server."""
    from airflow import plugins_manager

    if not hasattr(plugins_manager, "get_fastapi_plugins"):  # 3.1
        plugins_manager.initialize_fastapi_plugins()
        return list(plugins_manager.fastapi_apps)
    return list(plugins_manager.get_fastapi_plugins()[0])
