"""Airflow provider for the whole life of a model; this module holds the version and must import nothing."""

__version__ = "0.1.0"
