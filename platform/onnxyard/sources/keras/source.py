"""Keras and TensorFlow as a source."""

from __future__ import annotations

from pathlib import Path

from onnxyard.sources.isolated import Isolated

KERAS = Isolated(
    toolchain="tensorflow",
    program=Path(__file__).with_name("inside.py"),
    converter="tf2onnx",
    opsets=range(9, 19),  # tf2onnx 1.17 refuses 19; below 9 it gives graphs that are not valid
    checkpoints=True,
)
