"""A model read for quantizing: weights in memory, nodes named, types known, its opset high enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import external_data_helper, shape_inference, version_converter

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.runtimes.graph import all_nodes
from onnxyard.stages.optimize.passes.rows_run import run_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np

_SAME_DB = 80.0
"""Two forms of one graph differ by the order of sums alone: far above it in float32."""


def load_typed(source: Path) -> onnx.ModelProto:
    """Read a model, weights beside it included; nodes without a name get one, as `Conv.3`."""
    model = onnx.load(source, load_external_data=False)
    # Weights in other files are not needed for it, and would go over protobuf's 2 GiB.
    model = shape_inference.infer_shapes(model, data_prop=True)
    external_data_helper.load_external_data_for_model(model, str(source.parent))
    _name_nodes(model.graph)
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """Of the default domain."""
    return next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)


def raised_to(model: onnx.ModelProto, opset: int, rows: Iterable[dict[str, np.ndarray]]) -> onnx.ModelProto:
    """The same model at `opset` or higher.

    Converting may give another function without a word, so the answers on `rows` are compared.

    Raises:
        UnsupportedModelError: it cannot be converted, or answers otherwise then.
    """
    if opset_of(model) >= opset:
        return model
    remedy = f"Export it at opset {opset} or higher."
    try:
        converted = version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises RuntimeError's of C++, ValueError, and its own
        raise UnsupportedModelError(
            f"The model is of opset {opset_of(model)} and cannot be converted to {opset}: {error}", remedy=remedy
        ) from error
    _name_nodes(converted.graph)
    rows = list(rows)
    for before, after in zip(run_rows(model, rows), run_rows(converted, rows), strict=True):
        if not compare(before, after).snr_db >= _SAME_DB:
            raise UnsupportedModelError(
                f"Converted from opset {opset_of(model)} to {opset}, the model answers otherwise.", remedy=remedy
            )
    return shape_inference.infer_shapes(converted, data_prop=True)


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types (`TensorProto.DataType`) of the main graph's inputs and computed tensors, where they are known."""
    graph = model.graph
    there = {name for node in graph.node for name in node.output} | {value.name for value in graph.input}
    return {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.value_info, *graph.input, *graph.output)
        if value.name in there and value.type.WhichOneof("value") == "tensor_type"
    }


def takes_any_batch(model: onnx.ModelProto) -> bool:
    """Whether the first axis of every input is dynamic."""
    constant = {tensor.name for tensor in model.graph.initializer}
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input if value.name not in constant]
    return all(shape and not shape[0].HasField("dim_value") for shape in shapes)


def _name_nodes(graph: onnx.GraphProto) -> None:
    taken = {node.name for node in all_nodes(graph)}
    for at, node in enumerate(graph.node):
        if not node.name:
            free = (f"{node.op_type}.{at}{suffix}" for suffix in ("", *(f".{more}" for more in range(len(taken) + 1))))
            node.name = next(name for name in free if name not in taken)
            taken.add(node.name)
