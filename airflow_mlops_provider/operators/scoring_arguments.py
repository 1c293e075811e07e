"""What users may write for the arguments that scoring operators share; loads nothing heavy, because DAG files do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import AssetAlias

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.prediction_policy import PredictionPolicy
from airflow_mlops_provider.core.skew_policy import SkewPolicy


def scoring_experiment(experiment_name: str | None, model_name: str) -> str:
    """Return the experiment that scorings are recorded in: given, or the model's own."""
    return f"{model_name} scoring" if experiment_name is None else experiment_name


def skew_policy(given: SkewPolicy | Mapping[str, Any] | bool) -> SkewPolicy | None:
    """Return the policy that a user's argument stands for; None for no check."""
    if isinstance(given, bool):
        return SkewPolicy() if given else None
    return SkewPolicy.of(given)


def prediction_policy(given: PredictionPolicy | Mapping[str, Any] | bool) -> PredictionPolicy | None:
    """Return the policy that a user's argument stands for; None for no check."""
    if isinstance(given, bool):
        return PredictionPolicy() if given else None
    return PredictionPolicy.of(given)


def output_outlet(output: Any) -> AssetAlias:
    """Return the outlet of a task that writes a table; a path still to be rendered shares one outlet."""
    text = str(getattr(output, "uri", output))
    return AssetAlias("mlops-scores" if "{{" in text or "{%" in text else f"mlops-scores {text}"[:1500])


def parse_time(text: Any) -> datetime:
    """Return a time from ISO 8601 text; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(str(text).strip())
    except ValueError as error:
        raise InputError(f"scored_at must be a time in ISO 8601; got {text!r}.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
