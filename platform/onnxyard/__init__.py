"""Onnxyard, the shipyard for ONNX models: develop, export, optimize, validate, deploy, operate."""

import os

__version__ = "0.1.0"

# ONNX Runtime's wheel sends telemetry and keeps a device id and a database in the user's cache folder, from its import
# on. Nothing of ours is written outside home; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
