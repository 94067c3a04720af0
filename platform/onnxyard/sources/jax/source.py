"""JAX as a source."""

from __future__ import annotations

from pathlib import Path

from onnxyard.sources.isolated import Isolated

JAX = Isolated(
    toolchain="jax",
    program=Path(__file__).with_name("inside.py"),
    converter="jax2onnx",
    opsets=range(13, 28),  # jax2onnx 0.17 writes operators as of 13 (Unsqueeze's axes as an input), whatever is asked
    checkpoints=False,
)
