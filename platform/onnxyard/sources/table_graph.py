"""The ONNX graph of a model of a table: the project's inputs in front, its outputs behind, the model in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxyard.runtimes.graph import all_nodes
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.sources.source import Asked
    from onnxyard.sources.table import Column, Table

ML = "ai.onnx.ml"


class Nodes(Protocol):
    """A graph that is being written, as far as the writer of a model needs it."""

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - ONNX's
        """Add a node of one output and return that one's name."""
        ...

    def constant(self, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        ...

    def matrix(self, *, to: int | None = None) -> str:
        """The table that the model is asked about: [rows, columns] of an element type."""
        ...


class TableGraph:
    """Nodes in the order they are added. Only operators that mean the same at every opset from 9 on.

    Args:
        asked: Names inputs, outputs and axes.
        table: Which column lies where.
        opset: Of the default domain.
    """

    def __init__(self, asked: Asked, table: Table, opset: int) -> None:
        self._asked = asked
        self._table = table
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._count = 0

    def add(self, operator: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - ONNX's
        """Add a node of one output and return that one's name: `name`, or a new one."""
        output = name or self._new(operator.lower())
        node = helper.make_node(operator, list(inputs), [output], name=output, domain=domain, **attributes)
        self._nodes.append(node)
        return output

    def constant(self, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = self._new("constant")
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def column(self, column: Column, *, to: int | None = None, name: str = "") -> str:
        """One column as [rows, 1], cast to an element type (TensorProto's number) where it has another."""
        cast = to is not None and to != helper.np_dtype_to_tensor_dtype(column.dtype)
        if column.index is None:
            last = self.add("Reshape", column.input, self.constant(np.array([-1, 1])), name="" if cast else name)
        else:
            last = self.add(
                "Gather", column.input, self.constant(np.array([column.index])), name="" if cast else name, axis=1
            )
        return self.add("Cast", last, name=name, to=to) if cast else last

    def matrix(self, *, to: int | None = None, name: str = "") -> str:
        """All columns side by side as [rows, columns], of one element type."""
        whole = self._whole_input()
        if whole is not None:
            cast = to is not None and to != helper.np_dtype_to_tensor_dtype(self._asked.inputs[whole].dtype)
            return self.add("Cast", whole, name=name, to=to) if cast else self.add("Identity", whole, name=name)
        kind = helper.np_dtype_to_tensor_dtype(self._table.dtype) if to is None else to
        return self.add("Concat", *(self.column(column, to=kind) for column in self._table.columns), name=name, axis=1)

    def embed(self, model: onnx.ModelProto, prefix: str) -> tuple[str, ...]:
        """Take in another graph, whose inputs are there already under `prefix` and its own names.

        Returns:
            The names that its outputs have here.
        """
        inner = onnx.compose.add_prefix(model, prefix)
        self._nodes.extend(inner.graph.node)
        self._constants.extend(inner.graph.initializer)
        return tuple(output.name for output in inner.graph.output)

    def model(self, outputs: Mapping[str, str], like: Mapping[str, np.ndarray], *, ml: int) -> onnx.ModelProto:
        """The whole graph.

        Args:
            outputs: By the project's name of each output, in order: the tensor that gives it.
            like: The framework's own answers by the same names: of their dtype and rank the outputs are made.
            ml: The version of `ai.onnx.ml` that the nodes are written for.
        """
        axis = self._asked.axes_of(next(iter(self._asked.inputs)))[0]
        values = []
        for name, tensor in outputs.items():
            wanted = like[name]
            kind = TensorProto.DataType.Value(onnx_name(wanted.dtype))
            last = tensor
            if wanted.ndim == 1:
                last = self.add("Reshape", last, self.constant(np.array([-1])))
            if kind != TensorProto.STRING:
                last = self.add("Cast", last, to=kind)
            self.add("Identity", last, name=name)
            values.append(helper.make_tensor_value_info(name, kind, [axis, *wanted.shape[1:]]))
        inputs = [
            helper.make_tensor_value_info(
                name, TensorProto.DataType.Value(onnx_name(array.dtype)), list(self._asked.axes_of(name))
            )
            for name, array in self._asked.inputs.items()
        ]
        graph = helper.make_graph(self._nodes, "table", inputs, values, initializer=self._constants)
        imports = [helper.make_opsetid("", self._opset)]
        if any(node.domain == ML for node in all_nodes(graph)):
            imports.append(helper.make_opsetid(ML, ml))
        made = helper.make_model(graph, opset_imports=imports, producer_name="onnxyard")
        made.ir_version = helper.find_min_ir_version_for(imports)
        return made

    def _whole_input(self) -> str | None:
        """The one input that holds exactly the table's columns, in their order."""
        names = {column.input for column in self._table.columns}
        at = [column.index for column in self._table.columns]
        return next(iter(names)) if len(names) == 1 and at == list(range(len(at))) else None

    def _new(self, name: str) -> str:
        self._count += 1
        return f"{name}#{self._count}"
