"""What an onnxscript function writes a graph with: the operators, and the values they take and give."""

from __future__ import annotations

from typing import Any, TypeAlias

from onnxscript import opset18

GraphValue: TypeAlias = Any
"""A tensor of the graph that is being written (`onnxscript.ir.Value`: its `shape` and `dtype` are known where torch
knew them), or a Python number that stands for a constant."""

op: Any = opset18
"""ONNX's operators as of opset 18, the oldest that torch's exporter writes; it converts them to the opset asked for.
Untyped, because onnxscript types them for its eager tensors only."""
