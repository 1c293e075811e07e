"""The mlflow:// asset scheme."""
