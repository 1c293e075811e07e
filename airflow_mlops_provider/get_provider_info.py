"""Provider metadata; read while Airflow configures itself, so it must import nothing but the package's version."""

from typing import Any

from airflow_mlops_provider import __version__

_PACKAGE = "airflow_mlops_provider"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow is told of this package; `ui-field-behaviour` and `conn-fields` draw the connection form."""
    return {
        "package-name": "airflow-mlops-provider",
        "name": "MLOps",
        "description": (
            "The whole life of a model: validate data, train, evaluate through gates, promote, watch and retrain, "
            "with MLflow, Great Expectations and scikit-learn."
        ),
        "versions": [__version__],
        "integrations": [
            _integration("MLflow", "https://mlflow.org/docs/latest/"),
            _integration("Great Expectations", "https://docs.greatexpectations.io/docs/home/"),
            _integration("scikit-learn", "https://scikit-learn.org/stable/"),
        ],
        "operators": [
            _modules("Great Expectations", "operators.validate_data", "operators.suggest_expectations"),
            _modules(
                "scikit-learn",
                "operators.train_model",
                "operators.batch_score",
                "operators.check_feature_skew",
                "operators.validate_predictions",
                "operators.compare_shadow",
                "operators.smoke_test_model",
            ),
            _modules(
                "MLflow",
                "operators.evaluate_model",
                "operators.promote_model",
                "operators.detect_drift",
                "operators.check_performance",
                "operators.estimate_performance",
                "operators.profile_data",
                "operators.rollback_model",
                "operators.model_history",
                "operators.trigger_retrain",
                "operators.backtest_retrain_policy",
            ),
        ],
        "sensors": [
            _modules(
                "MLflow", "sensors.data_drift", "sensors.model_performance", "sensors.model_version", "sensors.new_data"
            )
        ],
        "triggers": [_modules("MLflow", "triggers.new_data", "triggers.model_version", "triggers.model_event")],
        "hooks": [_modules("MLflow", "hooks.mlflow")],
        "connection-types": [_mlflow_connection_type()],
        "extra-links": [
            f"{_PACKAGE}.links.mlflow.MlflowRunLink",
            f"{_PACKAGE}.links.mlflow.MlflowReportLink",
            f"{_PACKAGE}.links.mlflow.MlflowModelVersionLink",
        ],
        "task-decorators": [
            {"name": "train_model", "class-name": f"{_PACKAGE}.decorators.train_model.train_model_task"},
        ],
        "config": {"mlops": _options()},
        "asset-uris": [{"schemes": ["mlflow"], "handler": f"{_PACKAGE}.assets.mlflow.sanitize_uri"}],
        "plugins": [{"name": "mlops", "plugin-class": f"{_PACKAGE}.plugins.mlops.MLOpsPlugin"}],
    }


def _options() -> dict[str, Any]:
    return {
        "description": "What tasks of this package may reach, and how they sign what they do.",
        "options": {
            "namespace": {
                "description": (
                    "Name of this Airflow deployment in the keys of what its tasks do to models. Give each deployment "
                    "its own when several share an MLflow server and have DAGs of the same name; do not change it "
                    "while tasks are being retried."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "production",
                "default": "",
            },
            "aws_conn_id": {
                "description": (
                    "Connection of type aws for s3:// addresses that name none, as s3://conn_id@bucket/key does. When "
                    "it is aws_default and not defined, boto3 finds credentials by itself."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "minio",
                "default": "aws_default",
            },
            "allowed_data_prefixes": {
                "description": (
                    "Where files may be read and outputs written: s3://bucket/folder addresses and absolute folders, "
                    "separated by commas or line ends. Empty allows all. Queries are not concerned."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "s3://lake/churn, /data",
                "default": "",
            },
        },
    }


def _integration(name: str, url: str) -> dict[str, Any]:
    return {"integration-name": name, "external-doc-url": url, "tags": ["software"]}


def _modules(integration: str, *modules: str) -> dict[str, Any]:
    return {"integration-name": integration, "python-modules": [f"{_PACKAGE}.{module}" for module in modules]}


def _mlflow_connection_type() -> dict[str, Any]:
    return {
        "connection-type": "mlflow",
        "hook-class-name": f"{_PACKAGE}.hooks.mlflow.MlflowHook",
        "hook-name": "MLflow",
        "ui-field-behaviour": {
            "relabeling": {"host": "Tracking server", "schema": "Scheme"},
            "placeholders": {"host": "mlflow.example.com", "port": "5000", "schema": "https"},
        },
        "conn-fields": {
            "token": {
                "label": "Token",
                "description": "Bearer token; used instead of login and password.",
                "schema": {"type": ["string", "null"], "format": "password"},
            },
            "verify_tls": {
                "label": "Verify TLS certificate",
                "description": "Turn off only for a test server with a certificate of its own making.",
                "schema": {"type": ["boolean", "null"], "default": True},
            },
            "ca_bundle": {
                "label": "CA bundle",
                "description": "Path of a PEM file, present on every worker, with the authorities to trust.",
                "schema": {"type": ["string", "null"]},
            },
            "ui_url": {
                "label": "UI address",
                "description": "Where people open the MLflow UI, when it differs from the tracking server.",
                "schema": {"type": ["string", "null"]},
            },
        },
    }
