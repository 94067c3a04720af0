"""skl2onnx's container, as the writers of trees see a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import TensorProto, numpy_helper

from onnxyard.sources.table_graph import ML

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class ContainerNodes:
    """`Nodes` within the conversion of one operator.

    Args:
        scope: skl2onnx's, gives names.
        operator: What is converted.
        container: skl2onnx's, takes nodes.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
        self._scope = scope
        self._operator = operator
        self._container = container

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - ONNX's
        name = self._scope.get_unique_variable_name(operator.lower())
        version = (3 if "nodes_values_as_tensor" in attributes else 1) if domain == ML else None
        self._container.add_node(
            operator, list(inputs), [name], op_domain=domain, op_version=version, name=name, **attributes
        )
        return str(name)

    def constant(self, values: np.ndarray) -> str:
        name = self._scope.get_unique_variable_name("constant")
        tensor = numpy_helper.from_array(values, name)
        content = tensor.string_data if tensor.data_type == TensorProto.STRING else values.ravel().tolist()
        self._container.add_initializer(name, tensor.data_type, list(values.shape), list(content))
        return str(name)

    def matrix(self, *, to: int | None = None) -> str:
        [given] = self._operator.inputs
        return self.add("Cast", given.full_name, to=to)

    def finish(self, write: Callable[[ContainerNodes], tuple[str, ...]]) -> None:
        """Write, and give the answers the names that skl2onnx has for them."""
        for answer, output in zip(write(self), self._operator.outputs, strict=True):
            self._container.add_node("Identity", [answer], [output.full_name], name=output.full_name)
