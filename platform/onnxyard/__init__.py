"""Onnxyard, the shipyard for ONNX models: develop, export, optimize, validate, deploy, operate."""

__version__ = "0.1.0"
