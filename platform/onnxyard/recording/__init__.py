"""MLflow: the one room that imports it."""
