"""Run an artifact."""
