"""What Airflow 3.1, 3.2 and 3.3 do differently, as far as it matters here; no other module asks which of them runs.

Where what is wanted can be looked for, it is; the version is asked only where it cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_2_PLUS
from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol
    from airflow.triggers.base import BaseTrigger

Hook = TypeVar("Hook", bound=BaseHook)


def with_form(hook: type[Hook]) -> type[Hook]:
    """Give a hook the methods by which Airflow 3.1 draws the form of its connections.

    Later ones read the provider's metadata, and warn of such methods. They are made from the same metadata.
    """
    if not AIRFLOW_V_3_2_PLUS:
        for method in (get_connection_form_widgets, get_ui_field_behaviour):
            setattr(hook, method.__name__, classmethod(method))
    return hook


def get_connection_form_widgets(hook: Any) -> dict[str, Any]:
    """Return a field of WTForms for each of ``conn-fields``; Airflow calls it only where WTForms is, or a stand-in."""
    from wtforms import BooleanField, PasswordField, StringField

    widgets = {}
    for name, field in _connection_type(hook)["conn-fields"].items():
        schema = field["schema"]
        kind = PasswordField if schema.get("format") == "password" else StringField
        if "boolean" in schema["type"]:
            kind = BooleanField
        widgets[name] = kind(field["label"], description=field["description"], default=schema.get("default"))
    return widgets


def get_ui_field_behaviour(hook: Any) -> dict[str, Any]:
    """Return ``ui-field-behaviour`` by its older names."""
    known = _connection_type(hook)["ui-field-behaviour"]
    return {
        "hidden_fields": known.get("hidden-fields", []),
        "relabeling": known.get("relabeling", {}),
        "placeholders": known.get("placeholders", {}),
    }


def _connection_type(hook: Any) -> dict[str, Any]:
    """Return what the metadata say, which Airflow has read before it asks a hook."""
    from airflow.providers_manager import ProvidersManager

    info = ProvidersManager().providers["airflow-mlops-provider"].data  # type: ignore[no-untyped-call]
    found: dict[str, Any]
    (found,) = [one for one in info["connection-types"] if one["connection-type"] == hook.conn_type]
    return found


def dag_of(ti: RuntimeTaskInstanceProtocol, dag_id: str) -> Any | None:
    """Return what Airflow knows of a DAG; None before Airflow 3.2, which tells a task nothing."""
    ask = getattr(ti, "get_dag", None)
    return None if ask is None else ask(dag_id)


def asset_state_store(trigger: BaseTrigger) -> Any | None:
    """Return what remembers values with the asset that a trigger watches; None before Airflow 3.3."""
    return getattr(trigger, "asset_state_store", None)
