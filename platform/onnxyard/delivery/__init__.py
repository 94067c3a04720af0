"""Adapters of the places a version can be deployed to."""
