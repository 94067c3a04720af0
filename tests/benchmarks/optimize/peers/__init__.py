"""Whom the chosen candidate is compared with: what a user has without Onnxyard, and what other optimizers find."""
