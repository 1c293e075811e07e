"""MLflow without Airflow: sessions, runs, model files, versions, blessings and promotion."""
