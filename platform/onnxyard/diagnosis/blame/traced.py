"""A torch module, traced: the value of every fx node, each with its module and source line.

The trace is the one that torch's ONNX exporter itself makes (`ONNXProgram.exported_program`, decomposed for ONNX), so
that its nodes are the ones that exported tensors are named after: torch's exporter gives a tensor the name of the fx
node whose value it holds "for comparing values from the ONNX graph with those from the FX graph"
(torch/onnx/_internal/exporter/_core.py).
"""

from __future__ import annotations

import inspect
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from onnxyard.diagnosis.blame.reference import Place, TorchSource
from onnxyard.diagnosis.blame.torch_values import VERSION, source_of, to_array
from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.source import Asked
from onnxyard.sources.torch.arrays import to_torch
from onnxyard.sources.torch.catalogue import catalogue, translation_table
from onnxyard.sources.torch.decompositions import further_decompositions
from onnxyard.sources.torch.dynamo import TORCH_ERRORS, capture, quiet, to_onnx
from onnxyard.sources.torch.tree import SourceTree, plain_class

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import numpy as np
    import onnx
    from torch._ops import OpOverload
    from torch.export import ExportedProgram

_OPSETS = range(18, 26)
"""Opsets at which torch's exporter itself writes the graph, with its notes."""
_USUAL_OPSET = 20
_NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"
"""What torch writes where it knows no module."""
_CANNOT_WIDEN = (RuntimeError, TypeError, ValueError, NotImplementedError)
"""What an operator without a float64 kernel, or one that is told its result's type, raises."""


class Traced:
    """A `Reference` over the nodes of a module's trace.

    Args:
        source: The module.
        example: At least two rows of its inputs.
        outputs: The outputs' names.
        opset: Of the graph it is compared with: `fresh` is made at the same one where torch's exporter can.

    Raises:
        UnsupportedModelError: torch cannot trace the module.
        InvalidRequestError: the inputs are not what `forward` takes.
        UserCodeError: `forward` gives other outputs.
    """

    def __init__(
        self, source: TorchSource, example: Mapping[str, np.ndarray], outputs: tuple[str, ...], *, opset: int
    ) -> None:
        module, tree = source.module, source.tree or source_of(source.module)
        at = opset if opset in _OPSETS else _USUAL_OPSET
        asked = Asked(example, outputs, at, source.axes, source.translations)
        self._names = [name for name in inspect.signature(module.forward).parameters if name in example]
        self._program, self._fresh = _translate(capture(module, asked, tree), asked, at, module, tree)
        self._places = {
            node.name: _place(node, tree)
            for node in self._program.graph.nodes
            if node.op == "call_function" and isinstance(node.meta.get("val"), torch.Tensor)
        }
        specs = self._program.graph_signature.output_specs
        self._outputs = tuple(str(getattr(s.arg, "name", "")) for s in specs if s.kind is OutputKind.USER_OUTPUT)

    @property
    def name(self) -> str:
        return VERSION

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(self._places.values())

    @property
    def outputs(self) -> tuple[str, ...]:
        return self._outputs

    @property
    def fresh(self) -> onnx.ModelProto | None:
        return self._fresh

    def run(self, inputs: Mapping[str, np.ndarray], keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
        tensors = self._places.keys() | set(self._outputs)
        recorder = _Recorder(self._program.graph_module, tensors if keep is None else tensors & set(keep))
        with torch.inference_mode():
            recorder.run(*self._arguments(inputs))
        return recorder.values

    def noise(self, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        rounding = _Rounding(self._program.graph_module)
        with torch.inference_mode():
            rounding.run(*self._arguments(inputs))
        return rounding.errors

    def _arguments(self, inputs: Mapping[str, np.ndarray]) -> list[Any]:
        """What the traced graph takes: weights and buffers first, then the user's inputs."""
        given = iter([to_torch(name, inputs[name]) for name in self._names])
        held = {**self._program.constants, **self._program.state_dict}
        return [
            next(given, None) if spec.kind is InputKind.USER_INPUT else held[str(spec.target)]
            for spec in self._program.graph_signature.input_specs
        ]


class _Recorder(torch.fx.Interpreter):
    """Runs a traced graph and keeps what chosen nodes give, each one tensor."""

    def __init__(self, graph: torch.fx.GraphModule, keep: set[str]) -> None:
        super().__init__(graph)
        self.values: dict[str, np.ndarray] = {}
        self._keep = keep

    def run_node(self, n: torch.fx.Node) -> Any:  # noqa: ANN401 - as torch's own
        result = super().run_node(n)
        if n.name in self._keep and isinstance(result, torch.Tensor):
            self.values[n.name] = to_array(result)
        return result


class _Rounding(torch.fx.Interpreter):
    """Runs a traced graph and every operator of it once more on the same inputs in float64, to measure its rounding."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        super().__init__(graph)
        self.errors: dict[str, float] = {}

    def run_node(self, n: torch.fx.Node) -> Any:  # noqa: ANN401 - as torch's own
        result = super().run_node(n)
        if n.op != "call_function" or n.target is operator.getitem or not callable(n.target):
            return result
        arguments, named = pytree.tree_map_only(torch.Tensor, _wide, self.fetch_args_kwargs_from_env(n))
        try:
            exact = n.target(*arguments, **named)
        except _CANNOT_WIDEN:
            return result
        for name, rounded, wide in _named(n, result, exact):
            if rounded.is_floating_point() and wide.shape == rounded.shape:
                error = (rounded.double() - wide.double()).abs()
                finite = error[torch.isfinite(error)]
                self.errors[name] = float(finite.max()) if finite.numel() else 0.0
        return result


def _translate(
    captured: ExportedProgram, asked: Asked, opset: int, module: torch.nn.Module, tree: SourceTree
) -> tuple[ExportedProgram, onnx.ModelProto | None]:
    """The trace as torch's exporter sees it, and the graph it makes of it, by the ways that export goes.

    Where none leads there the trace stands for itself: its values are the same, only their names may be others.
    """
    table = translation_table(asked.translations, opset=opset, entries=catalogue())
    for translations, trace in _ways(captured, table):
        try:
            program = to_onnx(trace, asked, opset, module=module, source=tree, translations=translations)
        except UnsupportedModelError:
            continue
        return program.exported_program or trace, program.model_proto
    return captured, None


def _ways(
    captured: ExportedProgram, table: Mapping[OpOverload, Callable[..., Any]]
) -> Iterator[tuple[Mapping[OpOverload, Callable[..., Any]], ExportedProgram]]:
    """As `onnxyard.sources.torch.exporting` has them: plain, with translations, with further decompositions."""
    yield {}, captured
    yield table, captured
    core = {operator: made_of for operator, made_of in further_decompositions().items() if operator not in table}
    with quiet():
        try:
            decomposed = captured.run_decompositions(core)
        except TORCH_ERRORS:  # as the export says of it
            return
    yield table, decomposed


def _place(node: torch.fx.Node, tree: SourceTree) -> Place:
    stack = [entry for entry in (node.meta.get("nn_module_stack") or {}).values() if entry[0] != _NO_MODULE]
    path, kind = stack[-1] if stack else ("", "")
    maker = node.args[0] if node.target is operator.getitem else node
    return Place(
        node.name,
        str(maker.target if isinstance(maker, torch.fx.Node) else node.target),
        str(path),
        plain_class(kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"),
        tree.innermost(str(node.meta.get("stack_trace") or "")),
    )


def _named(node: torch.fx.Node, result: object, exact: object) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """The tensors of an operator, with the names of the nodes that hold them."""
    if isinstance(result, torch.Tensor) and isinstance(exact, torch.Tensor):
        return [(node.name, result, exact)]
    if not isinstance(result, (tuple, list)) or not isinstance(exact, (tuple, list)):
        return []
    parts = [(user.name, user.args[1]) for user in node.users if user.target is operator.getitem]
    pairs = [(name, result[at], exact[at]) for name, at in parts if isinstance(at, int)]
    return [each for each in pairs if isinstance(each[1], torch.Tensor) and isinstance(each[2], torch.Tensor)]


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
