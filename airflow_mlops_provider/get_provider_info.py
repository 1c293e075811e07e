"""Provider metadata; read while Airflow configures itself, so it must import nothing."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata."""
    return {
        "package-name": "airflow-mlops-provider",
        "name": "MLOps",
        "description": "The whole life of a model.",
    }
