"""Asset events of models: told when a version is made or promoted, and only then.

The outlet is an asset alias, because an ordinary outlet announces itself whenever its task succeeds, also when a
promotion was refused and the run went on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

from airflow_mlops_provider.assets.mlflow import model_asset_uri

if TYPE_CHECKING:
    from airflow.sdk import Context


def model_outlet(model_name: Any) -> AssetAlias:
    """Return the outlet of a task that changes a model; a name still to be rendered shares one outlet."""
    literal = isinstance(model_name, str) and "{{" not in model_name and "{%" not in model_name
    return AssetAlias(model_asset_uri(model_name) if literal else "mlflow://models")


def emit(context: Context, outlet: AssetAlias, *, model_name: str, extra: dict[str, Any], alias: str = "") -> None:
    """Announce a change of a model, with JSON values in the event's ``extra``.

    Parameters
    ----------
    context : Context
        Of the running task.
    outlet : AssetAlias
        From :func:`model_outlet`, among the task's outlets.
    model_name : str
        Rendered name.
    extra : dict
        What happened: ``event``, ``version``, ``run_id``, ``metrics``…
    alias : str, optional
        Announce it also on the asset of this alias of the model.
    """
    events = context["outlet_events"][outlet]
    events.add(Asset(model_asset_uri(model_name)), extra=extra)
    if alias:
        events.add(Asset(model_asset_uri(model_name, alias=alias)), extra=extra)


def emit_drift(context: Context, outlet: AssetAlias, result: dict[str, Any]) -> None:
    """Announce that the data of a model drifted, with what a DAG that reacts needs to know."""
    keys = ("window_end", "drifted", "n_drifted", "n_judged", "importance_drifted", "reasons", "run_id", "profile_uri")
    extra = {"event": "drift", "model_name": result["model_name"], **{key: result[key] for key in keys}}
    asset = Asset(model_asset_uri(result["model_name"], topic="drift"))
    context["outlet_events"][outlet].add(asset, extra=extra)


def emit_drop(context: Context, outlet: AssetAlias, result: dict[str, Any]) -> None:
    """Announce that a model has become worse, with what a DAG that reacts needs to know."""
    keys = ("version", "window_end", "metric", "value", "reference", "difference", "labelled_rows", "reasons", "run_id")
    extra = {"event": "performance_drop", "model_name": result["model_name"], **{key: result[key] for key in keys}}
    asset = Asset(model_asset_uri(result["model_name"], topic="performance"))
    context["outlet_events"][outlet].add(asset, extra=extra)
