"""Prefect flows: record, call, return."""
