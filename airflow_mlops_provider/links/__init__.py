"""Buttons on a task that lead to what it made in MLflow."""
