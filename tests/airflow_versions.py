"""Where Airflow keeps what only tests use, in the versions that are tested; what the package itself needs of Airflow
comes from where all versions have it."""

from __future__ import annotations

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
