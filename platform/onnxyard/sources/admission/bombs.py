"""What a small file may ask for: memory, rounds, nodes without end. Found by reading, before anything runs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.admission.graphs import bytes_of, every_graph, every_node, every_sparse, every_tensor, place
from onnxyard.sources.admission.refusal import Refusal, in_units, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

BOMB, ENDLESS, CORRUPT = "resource-bomb", "endless-loop", "corrupt-file"

_MOST_NODES = 1_000_000
_MOST_ROUNDS = 1_000_000_000
_SMALL_BYTES = 4096
"""Tensors up to here are kept when shapes are inferred: lengths are computed from them."""
_LARGEST_COUNT = 1 << 63
_EXACT: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float_data",
    onnx.TensorProto.INT64: "int64_data",
    onnx.TensorProto.DOUBLE: "double_data",
}
_ASK_LESS = "Lower the lengths that the node is given; a model that really needs them has to be split."


def refuse_tensors(model: onnx.ModelProto, budget: int) -> Iterator[Refusal]:
    """Tensors whose declared shape is not what they hold, or more than may be opened."""
    for tensor in every_tensor(model):
        name = printable(tensor.name)
        count = math.prod(tensor.dims)
        if any(length < 0 for length in tensor.dims) or count >= _LARGEST_COUNT:
            yield Refusal(
                BOMB, f"The tensor {name!r} has the impossible shape {list(tensor.dims)[:8]}.", _ASK_LESS, node=name
            )
            continue
        needed = bytes_of(count, tensor.data_type)
        if tensor.data_location != onnx.TensorProto.EXTERNAL and (held := _held(tensor)) not in {None, needed}:
            yield Refusal(
                CORRUPT,
                f"The tensor {name!r} holds {held} bytes where {list(tensor.dims)[:8]} of its type needs {needed}.",
                "The file is damaged: export or download the model again.",
                node=name,
            )
    for sparse in every_sparse(model):
        dense = bytes_of(math.prod(map(abs, sparse.dims)), sparse.values.data_type)
        if dense > budget:
            name = printable(sparse.values.name)
            yield Refusal(
                BOMB,
                f"The sparse tensor {name!r} unfolds to {in_units(dense)}.",
                "Store what is used of it.",
                node=name,
            )


def refuse_shapes(model: onnx.ModelProto, budget: int) -> Iterator[Refusal]:
    """Inputs, and results of nodes, that are larger than the budget however small the batch is.

    Lengths that depend on the input count as one; the others are propagated through the graph (onnx.shape_inference).
    """
    for value in model.graph.input:
        if (size := _least_bytes(value)) > budget:
            name = printable(value.name)
            yield Refusal(BOMB, f"The input {name!r} has at least {in_units(size)}.", _ASK_LESS, node=name)
    inferred = _inferred(model)
    for graph in every_graph(inferred):
        makers = {output: node for node in graph.node for output in node.output}
        for value in (*graph.value_info, *graph.output):
            if (size := _least_bytes(value)) > budget:
                node = makers.get(value.name)
                yield Refusal(
                    BOMB,
                    f"{_who(node, value)} asks for {in_units(size)}.",
                    _ASK_LESS,
                    node=printable(value.name),
                )


def refuse_nodes(model: onnx.ModelProto) -> Iterator[Refusal]:
    """More nodes than anything can load, by plain count or by functions that call functions; recursion."""
    bodies = {(function.domain, function.name): function for function in model.functions}
    calls = {
        key: Counter((node.domain, node.op_type) for node in all_nodes(function)) for key, function in bodies.items()
    }
    totals: dict[tuple[str, str], int] = {}
    for key in _callees_first(calls):
        if key is None:
            yield Refusal(BOMB, "A function of the model calls itself.", "Export the model again without functions.")
            return
        totals[key] = sum(times * totals.get(callee, 1) for callee, times in calls[key].items())
    main = Counter((node.domain, node.op_type) for node in all_nodes(model.graph))
    total = sum(times * totals.get(callee, 1) for callee, times in main.items())
    if total > _MOST_NODES:
        shown = f"{total:,}" if total < 10**15 else f"10^{int(math.log10(total))}"
        yield Refusal(
            BOMB,
            f"The graph has {shown} nodes once its functions are unfolded; {_MOST_NODES:,} are allowed.",
            "Keep loops as Loop or Scan instead of unrolling them.",
        )


def refuse_endless_loops(model: onnx.ModelProto) -> Iterator[Refusal]:
    """Loops whose condition can never turn false and whose number of rounds is no bound."""
    constants = _constants(model)
    for node in every_node(model):
        if node.op_type != "Loop" or node.domain not in {"", "ai.onnx"}:
            continue
        body = next((attribute.g for attribute in node.attribute if attribute.name == "body"), None)
        rounds = _number(constants, node.input[0] if node.input else "", absent=_LARGEST_COUNT)
        begins = _number(constants, node.input[1] if len(node.input) > 1 else "", absent=1)
        if body is None or rounds is None or rounds < _MOST_ROUNDS or not begins:
            continue
        if _stays_true(body, constants):
            where = printable(place(node))
            yield Refusal(
                ENDLESS,
                f"The loop {where} never ends: its condition stays true, and nothing else bounds its rounds.",
                "Give the loop a trip count, or a condition that the body can turn false.",
                node=where,
            )


def _held(tensor: onnx.TensorProto) -> int | None:
    """The bytes of values in the file; None where they are packed in a way that only a runtime unpacks."""
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data)
    field = _EXACT.get(tensor.data_type)
    return None if field is None else bytes_of(len(getattr(tensor, field)), tensor.data_type)


def _least_bytes(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    lengths = [axis.dim_value for axis in tensor.shape.dim if axis.dim_value > 0]
    return bytes_of(math.prod(lengths), tensor.elem_type) if lengths else 0


def _who(node: onnx.NodeProto | None, value: onnx.ValueInfoProto) -> str:
    return f"The node {printable(place(node))}" if node is not None else f"The tensor {printable(value.name)!r}"


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shapes that follow from it; large weights are left out, only their shape matters."""
    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(model)
    for tensor in every_tensor(skeleton):
        if len(tensor.raw_data) > _SMALL_BYTES:
            tensor.ClearField("raw_data")
        elif len(tensor.float_data) > _SMALL_BYTES:
            tensor.ClearField("float_data")
    try:
        return onnx.shape_inference.infer_shapes(skeleton, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return skeleton  # what is declared has to do; whether the graph is valid is asked elsewhere


@dataclass(slots=True)
class _Visit:
    key: tuple[str, str]
    left: list[tuple[str, str]]


def _callees_first(calls: dict[tuple[str, str], Counter[tuple[str, str]]]) -> Iterator[tuple[str, str] | None]:
    """Functions in an order in which each comes after all it calls; None, and the end, for a circle."""
    done: set[tuple[str, str]] = set()
    for first, called in calls.items():
        path = [_Visit(first, list(called))] if first not in done else []
        open_keys = {first}
        while path:
            visit = path[-1]
            if visit.left:
                callee = visit.left.pop()
                if callee in open_keys:
                    yield None
                    return
                if callee in calls and callee not in done:
                    path.append(_Visit(callee, list(calls[callee])))
                    open_keys.add(callee)
                continue
            path.pop()
            open_keys.discard(visit.key)
            if visit.key not in done:
                done.add(visit.key)
                yield visit.key


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Scalars that never change, by name: initializers and Constant nodes. Names are unique in valid models."""
    found = {tensor.name: tensor for graph in every_graph(model) for tensor in graph.initializer}
    for node in every_node(model):
        for attribute in node.attribute if node.op_type == "Constant" and node.output else ():
            if attribute.name == "value" and attribute.HasField("t"):
                found[node.output[0]] = attribute.t
            elif attribute.name == "value_int":
                found[node.output[0]] = numpy_helper.from_array(np.array(attribute.i))
    return {name: tensor for name, tensor in found.items() if math.prod(tensor.dims) == 1}


def _number(constants: dict[str, onnx.TensorProto], name: str, *, absent: int) -> int | None:
    """A constant's value; None where it is computed."""
    if not name:
        return absent
    tensor = constants.get(name)
    if tensor is None:
        return None
    try:
        return int(numpy_helper.to_array(tensor).reshape(-1)[0])
    except (ValueError, TypeError, IndexError):  # a broken constant, which is told elsewhere
        return None


def _stays_true(body: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Whether the body hands its condition on as it came, or as a constant that is true."""
    if not body.output:
        return False
    same = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity" and node.input}
    name = body.output[0].name
    for _ in range(len(same) + 1):
        if name not in same:
            break
        name = same[name]
    if len(body.input) > 1 and name == body.input[1].name:
        return True
    return bool(_number(constants, name, absent=0))
