"""A piece of ONNX graph under construction: what flows through it by name, and the nodes so far."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import FRONT, Flow, boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_IR_VERSION = 8
"""Old enough for every opset from `OLDEST_OPSET` on; composing takes the model's own, newer one."""


class Chain:
    """Builds one side, `preprocess` or `postprocess`, step after step.

    Args:
        side: The side's name; every node and inner tensor is named below it.
        opset: Of the default domain, at least `OLDEST_OPSET`.
        root: The project's folder: where steps find the files they name.
        flows: What comes in, by the name that steps call it.
        carried: What the steps in front of the model left for those behind it.
    """

    def __init__(
        self, side: str, opset: int, root: Path, flows: Mapping[str, Flow], carried: Mapping[str, Flow] | None = None
    ) -> None:
        self.opset = opset
        self.root = root
        self.flows = dict(flows)
        self.carried = dict(carried or {})
        self._side = side
        self._inputs = {**self.flows, **self.carried}
        self._gone: set[str] = set()
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._domains: set[str] = set()
        self._step = ""
        self._made = 0

    @contextmanager
    def step(self, number: int, name: str) -> Iterator[None]:
        """Name what is built inside the block after the step, as `preprocess/0.resize/`."""
        self._step = f"{number}.{name}"
        try:
            yield
        except UserCodeError as error:
            error.where = error.where or self.where
            raise

    @property
    def where(self) -> str:
        """The step at work, as a reader of the project file finds it."""
        number, _, name = self._step.partition(".")
        return f"[[{self._side}]] step {int(number) + 1} ({name})"

    def take(self, name: str, *, keep: bool = False) -> Flow:
        """What flows under `name`; it flows no longer, unless it is kept.

        Raises:
            UserCodeError: nothing is called so.
        """
        if name not in self.flows or name in self._gone:
            there = ", ".join(sorted(self.flows.keys() - self._gone)) or "nothing"
            raise UserCodeError(f"There is no tensor {name!r} here.", where=self.where, remedy=f"There is {there}.")
        if not keep:
            self._gone.add(name)
        return self.flows[name]

    def give(self, name: str, flow: Flow) -> None:
        """Let a tensor flow on under `name`."""
        self.flows[name] = flow  # in the place of one of the same name: the order of outputs is that of the model's
        self._gone.discard(name)

    def carry(self, name: str, flow: Flow) -> None:
        """Hand a tensor past the model to the steps behind it."""
        self.carried[name] = flow

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Add a node with one output, and name that."""
        return self.ops(kind, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: object) -> list[str]:
        """Add a node, and name its outputs."""
        name = self._fresh(kind)
        values = [name] if outputs == 1 else [f"{name}.{number}" for number in range(outputs)]
        node = helper.make_node(kind, list(inputs), values, name=name, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        if domain:
            self._domains.add(domain)
        return values

    def floats(self, values: float | Sequence[float]) -> str:
        """Add a constant, FLOAT: one number, or a list of them."""
        return self._constant(np.asarray(values, dtype=np.float32))

    def ints(self, values: int | Sequence[int]) -> str:
        """Add a constant, INT64: one number, or a list of them."""
        return self._constant(np.asarray(values, dtype=np.int64))

    def texts(self, values: Sequence[str]) -> str:
        """Add a constant, STRING: a list of texts."""
        return self._constant(np.asarray(values, dtype=object))

    def each_row(self, rows: str, body: Callable[[str], Sequence[Flow]]) -> list[str]:
        """Run `body` on one row after the other, and stack what it gives.

        Args:
            rows: A tensor with the rows first.
            body: Gets the name of one row's tensor (without the first axis), adds nodes, and returns its
                results. A result has the same shape for every row.
        """
        outer, self._nodes = self._nodes, []
        turn, go = self._fresh("turn"), self._fresh("go")
        row = self.op("Gather", rows, turn, axis=0)
        results = body(row)
        again = self.op("Identity", go)
        # Fresh names: a loop's results must be made inside it, and not be constants from around it.
        given = [replace(flow, value=self.op("Identity", flow.value)) for flow in results]
        inner, self._nodes = self._nodes, outer
        graph = helper.make_graph(
            inner,
            self._fresh("row"),
            [_value(turn, "INT64", ()), _value(go, "BOOL", ())],
            [_value(again, "BOOL", ()), *(_value(flow.value, flow.dtype, flow.shape) for flow in given)],
        )
        count = self.op("Gather", self.op("Shape", rows), self.ints(0))
        yes = self._constant(np.asarray(True))
        return self.ops("Loop", count, yes, outputs=len(given), body=graph)

    def model(self) -> ModelProto:
        """The piece: raw names come in; `SIDE/NAME` goes out of the front, plain names out of the back."""
        outputs = []
        front = self._side == FRONT
        left = {name: flow for name, flow in self.flows.items() if name not in self._gone}
        for name, flow in {**left, **(self.carried if front else {})}.items():
            given = boundary(FRONT, name) if front else name
            self._nodes.append(helper.make_node("Identity", [flow.value], [given], name=self._fresh("give")))
            outputs.append(_value(given, flow.dtype, flow.shape))
        inputs = [_value(flow.value, flow.dtype, flow.shape) for flow in self._inputs.values()]
        graph = helper.make_graph(self._nodes, self._side, inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, 1) for d in sorted(self._domains))]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _constant(self, values: np.ndarray) -> str:
        name = self._fresh("constant")
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def _fresh(self, kind: str) -> str:
        self._made += 1
        return f"{self._side}/{self._step}/{kind}_{self._made}" if self._step else f"{self._side}/{kind}_{self._made}"


def _value(name: str, dtype: str, shape: tuple[int | str, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.DataType.Value(dtype), list(shape))
