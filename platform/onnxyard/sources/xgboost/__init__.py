"""XGBoost as a source."""
