"""Walking a parsed model: every node, every tensor, in subgraphs and functions too."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import onnx

from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

_BITS: dict[int, int] = {
    onnx.TensorProto.INT2: 2,
    onnx.TensorProto.UINT2: 2,
    onnx.TensorProto.INT4: 4,
    onnx.TensorProto.UINT4: 4,
    onnx.TensorProto.FLOAT4E2M1: 4,
    onnx.TensorProto.COMPLEX64: 64,
    onnx.TensorProto.COMPLEX128: 128,
}


def every_node(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """The nodes of the graph, of the graphs in their attributes, and of the model's own functions."""
    yield from all_nodes(model.graph)
    for function in model.functions:
        yield from all_nodes(function)


def every_graph(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The graph and every graph in an attribute, of functions too."""
    yield model.graph
    for node in every_node(model):
        for attribute in node.attribute:
            yield from attribute.graphs
            if attribute.HasField("g"):
                yield attribute.g


def every_tensor(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that the file holds or points to: initializers, constants, the parts of sparse ones."""
    for graph in every_graph(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in every_node(model):
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                if sparse.HasField("values"):
                    yield from (sparse.values, sparse.indices)


def every_sparse(model: onnx.ModelProto) -> Iterator[onnx.SparseTensorProto]:
    """Every sparse tensor that the file holds."""
    for graph in every_graph(model):
        yield from graph.sparse_initializer
    for node in every_node(model):
        for attribute in node.attribute:
            yield from attribute.sparse_tensors
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor


def names(model: onnx.ModelProto) -> Iterator[str | bytes]:
    """Every text of the model that anything here looks at; protobuf gives bytes for one that is no UTF-8."""
    yield from (entry.domain for entry in model.opset_import)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
    for graph in every_graph(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield value.name
            yield from (axis.dim_param for axis in value.type.tensor_type.shape.dim)
    for tensor in every_tensor(model):
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)
    for node in every_node(model):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        for entry in node.metadata_props:
            yield from (entry.key, entry.value)


def place(node: onnx.NodeProto) -> str:
    """A node in words, as `Conv 'body.0'`: by its name, or by what it gives."""
    name = node.name or next((output for output in node.output if output), "")
    domain = f"{node.domain}::" if node.domain not in {"", "ai.onnx"} else ""
    return f"{domain}{node.op_type} {name!r}"


def bytes_of(count: int, dtype: int) -> int:
    """How many bytes so many elements of an ONNX type take; strings count as one each."""
    bits = _BITS.get(dtype, 8)
    if dtype not in _BITS and dtype != onnx.TensorProto.STRING:
        with suppress(KeyError, ValueError):  # a type that this release of onnx does not know
            bits = 8 * int(onnx.helper.tensor_dtype_to_np_dtype(dtype).itemsize)
    return (count * bits + 7) // 8
