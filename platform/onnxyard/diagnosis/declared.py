"""The shapes that a graph declares for its outputs, against those that it answers in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from onnxyard.sources.saving import save_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.runtimes.graph import Graph

Axis = tuple[str, int]
"""An output's name and a position in its shape."""


def misdeclared(graph: Graph, answer: Mapping[str, np.ndarray]) -> Iterator[Axis]:
    """Axes of outputs that are declared with a length which this answer does not have.

    ONNX Runtime only warns of it, and whoever reads the declaration believes it. torch.export does so for recurrent
    layers, whose steps it counts in the example.
    """
    for spec in graph.signature.outputs:
        for at, (told, length) in enumerate(zip(spec.shape, answer[spec.name].shape, strict=False)):
            if isinstance(told, int) and told != length:
                yield spec.name, at


def free_axes(model_file: Path, axes: frozenset[Axis]) -> None:
    """Declare these axes free in the file; inner tensors lose shapes that may be as wrong."""
    model = onnx.load(model_file, load_external_data=False)
    for value in model.graph.output:
        for at, axis in enumerate(value.type.tensor_type.shape.dim):
            if (value.name, at) in axes:
                axis.dim_param = f"{value.name}_{at}"
    for value in model.graph.value_info:
        value.type.tensor_type.ClearField("shape")
    save_model(model, model_file)
