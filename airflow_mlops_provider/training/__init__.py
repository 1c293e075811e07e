"""Fitting scikit-learn estimators reproducibly; knows nothing of Airflow or MLflow."""
