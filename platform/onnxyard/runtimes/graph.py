"""What an ONNX file says of itself: signature, opset, IR version, precision. Weights in external data are not read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.tensors.files import protobuf_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_INTEGER_ARITHMETIC = frozenset(
    {"ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger"}
    | {"MatMulIntegerToFloat", "QAttention", "QGemm", "QLinearConv", "QLinearMatMul"}
)
_FLOATS = {"FLOAT16": "fp16", "BFLOAT16": "bf16", "DOUBLE": "fp64"}


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file's own account.

    Attributes:
        signature: Inputs (without initializers) and outputs.
        opset: The default domain's opset.
        ir_version: The file format's version.
        nodes: Nodes of the main graph and all its subgraphs.
        operators: How often each operator occurs, as `Conv` or `com.microsoft::QAttention`.
        precision: `int8` where integer arithmetic is done, else the weights' `fp32`, `fp16`, `bf16` or `fp64`.
        opsets: Of every domain that a node is of, as `{"": 20, "ai.onnx.ml": 4}`.
    """

    signature: Signature
    opset: int
    ir_version: int
    nodes: int
    operators: dict[str, int]
    precision: str
    opsets: dict[str, int]


def read_graph(model_file: Path) -> Graph:
    """Read a model's structure. Raises ArtifactCorruptError (no model), UnsupportedModelError (not plain tensors)."""
    try:
        model = onnx.load(model_file, load_external_data=False)
    except (OSError, protobuf_error()) as error:
        raise ArtifactCorruptError(f"This is not an ONNX file: {error}", where=str(model_file)) from error
    return describe_graph(model, where=str(model_file))


def describe_graph(model: onnx.ModelProto, *, where: str = "") -> Graph:
    """As `read_graph`, of a model in memory; `where` is named in errors."""
    opsets = [entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}]
    if not opsets or not model.graph.output:
        raise ArtifactCorruptError("The model names no opset or has no output.", where=where)
    constants = {tensor.name for tensor in model.graph.initializer}
    operators = Counter(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in all_nodes(model.graph))
    return Graph(
        signature=Signature(
            tuple(_spec(value, where) for value in model.graph.input if value.name not in constants),
            tuple(_spec(value, where) for value in model.graph.output),
        ),
        opset=opsets[0],
        ir_version=model.ir_version,
        nodes=operators.total(),
        operators=dict(sorted(operators.items())),
        precision=_precision(model.graph, operators),
        opsets=_opsets(model),
    )


def all_nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph (or function) and of the graphs in its attributes (If, Loop, Scan), outer ones first."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    used = {_plain(node.domain) for node in all_nodes(model.graph)} | {""}
    imported = {_plain(entry.domain): entry.version for entry in model.opset_import}
    return {domain: version for domain, version in sorted(imported.items()) if domain in used}


def _plain(domain: str) -> str:
    """The default domain has two names."""
    return "" if domain == "ai.onnx" else domain


def _spec(value: onnx.ValueInfoProto, where: str) -> TensorSpec:
    if value.type.WhichOneof("value") != "tensor_type":
        raise UnsupportedModelError(f"{value.name!r} is no plain tensor.", where=where)
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise UnsupportedModelError(f"{value.name!r} has no known rank.", where=where)
    axes = tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or f"{value.name}.{at}"
        for at, axis in enumerate(tensor.shape.dim)
    )
    return TensorSpec(value.name, onnx.TensorProto.DataType.Name(tensor.elem_type), axes)


def _precision(graph: onnx.GraphProto, operators: Counter[str]) -> str:
    if any(name.rpartition("::")[2] in _INTEGER_ARITHMETIC for name in operators):
        return "int8"
    sizes: Counter[str] = Counter()
    for tensor in graph.initializer:
        size = 1
        for length in tensor.dims:
            size *= length
        sizes[onnx.TensorProto.DataType.Name(tensor.data_type)] += size
    floats = {name: size for name, size in sizes.items() if name in _FLOATS or name == "FLOAT"}
    return _FLOATS.get(max(floats, key=lambda name: floats[name], default="FLOAT"), "fp32")
