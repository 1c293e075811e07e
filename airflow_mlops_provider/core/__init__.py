"""Decisions as pure functions of values: no Airflow, MLflow, GX, network, file system, clock or global state."""
