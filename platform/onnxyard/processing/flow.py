"""What flows through a graph under construction, and how its parts are called. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

OLDEST_OPSET = 13
"""From here on the operators that steps use keep their form (axes of ReduceSum and Unsqueeze are inputs)."""
DOMAINS = ("ai.onnx.contrib", "com.microsoft.extensions")
"""Where onnxruntime-extensions keeps its operators, both at version 1."""
FRONT, BACK, MODEL = "preprocess", "postprocess", "model"
"""The two sides, and what stands between them."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One tensor on its way.

    Attributes:
        value: Its name in the graph.
        dtype: The ONNX name of its element type.
        shape: A fixed length, or the name of a dynamic axis; the batch is first.
    """

    value: str
    dtype: str
    shape: tuple[int | str, ...]


def boundary(side: str, name: str) -> str:
    """The name of a tensor that crosses from one part to the next."""
    return f"{side}/{name}"
