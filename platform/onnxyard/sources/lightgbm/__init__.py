"""LightGBM as a source."""
