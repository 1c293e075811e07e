"""Airflow connections turned into the clients of the library layers."""
