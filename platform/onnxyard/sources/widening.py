"""bfloat16 weights on a CPU: stored as they are, computed with in float32.

ONNX Runtime 1.32 has next to no CPU kernels for bfloat16 (Gemm, Conv, LayerNormalization and Softmax are missing), and
its Python can neither be fed nor give it. Widening to float32 is exact, so the graph computes what bfloat16 hardware
would, without its rounding in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

_TYPE_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype"})
_WIDE = ".float32"


def widen(model: onnx.ModelProto) -> bool:
    """Let a graph with bfloat16 weights compute in float32; the weights stay bfloat16, behind a Cast each.

    Returns:
        Whether there was anything to widen.

    Raises:
        UnsupportedModelError: an input is bfloat16, which ONNX Runtime's Python cannot be fed.
    """
    narrow = [value.name for value in model.graph.input if _element(value) == TensorProto.BFLOAT16]
    if narrow:
        raise UnsupportedModelError(
            f"The input {narrow[0]!r} is BFLOAT16, which ONNX Runtime's Python cannot be fed.",
            remedy="Take float32 and turn it into bfloat16 in forward.",
        )
    weights = [tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.BFLOAT16]
    if not weights and not any(_narrow_attributes(node) for node in all_nodes(model.graph)):
        return False
    for node in all_nodes(model.graph):
        for attribute in _narrow_attributes(node):
            if attribute.HasField("t"):
                values = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(values, attribute.t.name))
            else:
                attribute.i = TensorProto.FLOAT
        node.input[:] = [f"{name}{_WIDE}" if name in weights else name for name in node.input]
    for graph in _graphs(model.graph):
        for value in (*graph.output, *graph.value_info):
            if _element(value) == TensorProto.BFLOAT16 and value.name not in weights:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
    casts = [
        helper.make_node("Cast", [name], [f"{name}{_WIDE}"], name=f"{name}{_WIDE}", to=TensorProto.FLOAT)
        for name in weights
    ]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return True


def _narrow_attributes(node: onnx.NodeProto) -> list[onnx.AttributeProto]:
    return [
        attribute
        for attribute in node.attribute
        if (attribute.HasField("t") and attribute.t.data_type == TensorProto.BFLOAT16)
        or (attribute.name in _TYPE_ATTRIBUTES and attribute.i == TensorProto.BFLOAT16)
    ]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _element(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)
