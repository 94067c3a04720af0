"""The main graph of a model as something to rewire: who gives a tensor, who reads it, which are constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wiring:
    """A model's main graph, changed in place.

    Args:
        model: Its weights in memory.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._graph = model.graph
        given = {value.name for value in self._graph.input}  # an initializer that is an input too may be overridden
        self._constants = {tensor.name: tensor for tensor in self._graph.initializer if tensor.name not in given}
        for node in self._graph.node:
            if node.op_type == "Constant" and not node.domain and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t
        self._outside = {value.name for value in self._graph.output} | set(_read_inside(self._graph))
        self._names = {name for node in all_nodes(self._graph) for name in (*node.input, *node.output)} | given
        self._names |= {tensor.name for tensor in self._graph.initializer}

    @property
    def opset(self) -> int:
        """Of the default domain."""
        return next((e.version for e in self._model.opset_import if e.domain in {"", "ai.onnx"}), 0)

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a constant tensor; None for one that is computed or given."""
        tensor = self._constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node that gives the tensor."""
        return next((node for node in self._graph.node if name in node.output), None)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that take the tensor; empty where it is an output too, or read inside another node's graph."""
        return [] if name in self._outside else [node for node in self._graph.node if name in node.input]

    def rank(self, name: str) -> int | None:
        """How many axes the tensor has, where the model says so."""
        for value in (*self._graph.value_info, *self._graph.input, *self._graph.output):
            if value.name == name and value.type.tensor_type.HasField("shape"):
                return len(value.type.tensor_type.shape.dim)
        return None

    def add_constant(self, name: str, array: np.ndarray) -> str:
        """Add a weight and return its name: `name`, or one like it that is free."""
        free = next(
            n for n in (name, *(f"{name}.{at}" for at in range(1, len(self._names) + 2))) if n not in self._names
        )
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), free)
        self._graph.initializer.append(tensor)
        self._constants[free] = tensor
        self._names.add(free)
        return free

    def remove(self, node: onnx.NodeProto) -> None:
        """Take a node out; nobody may read it any more."""
        self._graph.node.remove(node)

    def drop_unread(self) -> None:
        """Drop the weights and the notes on shapes that nothing refers to any more."""
        read = {name for node in self._graph.node for name in node.input} | self._outside
        given = {name for node in self._graph.node for name in node.output}
        given |= {value.name for value in self._graph.input}
        for tensor in [t for t in self._graph.initializer if t.name not in read | given]:
            self._graph.initializer.remove(tensor)
        for value in [v for v in self._graph.value_info if v.name not in given]:
            self._graph.value_info.remove(value)


def _read_inside(graph: onnx.GraphProto) -> Iterator[str]:
    """What the graphs in nodes' attributes take, and give."""
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from (name for each in all_nodes(inner) for name in each.input)
                yield from (value.name for value in inner.output)
                yield from _read_inside(inner)
