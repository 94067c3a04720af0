"""Every operator of a module that has no ONNX form, found in one pass; torch's exporter stops at the first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnxscript
import torch
from onnxscript import ir
from torch._ops import OpOverload

# Private to torch, and pinned with it: nothing public tells what its exporter could not translate, but one by one.
from torch.onnx._internal.exporter import _building, _core, _dispatching, _registration

from onnxyard.sources.torch.dynamo import quiet
from onnxyard.sources.torch.tree import SourceTree, plain_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OF_TORCH = ("aten", "prims", "prim", "_operator", "math", "higher_order", "quantized", "quantized_decomposed")
"""Namespaces of torch itself; every other one is a custom operator's."""


@dataclass(frozen=True, slots=True)
class Missing:
    """One use of an operator that has no ONNX form.

    Attributes:
        operator: As `aten::kthvalue`, or `mylib::frobnicate`.
        module: The path of the module that uses it, as `encoder.layers.0`; empty for the model itself.
        kind: The module's class.
        source: `file:line` in the project; empty where unknown.
        custom: Whether it is a custom operator, for which the project alone can give a translation.
        reason: Why it cannot be translated.
    """

    operator: str
    module: str
    kind: str
    source: str
    custom: bool
    reason: str


def missing(
    exported: torch.export.ExportedProgram,
    source: SourceTree,
    translations: Mapping[OpOverload, Callable[..., Any]],
    *,
    opset: int = 20,
) -> tuple[Missing, ...]:
    """Every place that torch's exporter could not translate, in the order the model runs; none where it could.

    Each operator is translated by itself, so that those which are known, but not with these arguments, are found too.

    Args:
        exported: What `torch.export.export` gave; it stays as it is.
        source: Says which source files are the project's.
        translations: As `onnxyard.sources.torch.catalogue.translation_table` gives them: they count as known.
        opset: That the graph would have.
    """
    with quiet():
        registry = _registration.ONNXRegistry.from_torchlib(opset_version=opset)
        for operator, function in translations.items():
            registry.register_op(operator, function)
        program = _core._prepare_exported_program_for_export(exported, registry=registry)  # noqa: SLF001 - as above
        return tuple(
            _missing(node, reason, source)
            for graph in program.graph_module.modules()
            if isinstance(graph, torch.fx.GraphModule)
            for node, reason in _untranslated(graph.graph, registry)
        )


def _untranslated(graph: torch.fx.Graph, registry: _registration.ONNXRegistry) -> Iterator[tuple[torch.fx.Node, str]]:
    values: dict[str, Any] = {node.name: _value_of(node) for node in graph.nodes}
    opset = onnxscript.values.Opset("", registry.opset_version)
    for node in graph.nodes:
        if not isinstance(node.target, OpOverload) or node.target.namespace == "onnx":
            continue  # getitem, sizes and subgraphs (whose operators are met in their own graph)
        function, _ = _dispatching.dispatch(node, registry)
        if function is None:
            yield node, "it has no ONNX translation" + (" for complex numbers" if _is_complex(node) else "")
            continue
        arguments = [_core._convert_fx_arg_to_onnx_arg(one, values, {}) for one in node.args]  # noqa: SLF001 - as above
        named = {key: _core._convert_fx_arg_to_onnx_arg(one, values, {}) for key, one in node.kwargs.items()}  # noqa: SLF001 - as above
        if named.get("dtype", 0) is None:
            named["dtype"] = -1  # as torch's exporter passes it
        recorder: Any = _building.OpRecorder  # mypy takes an inherited method without a body for an abstract one
        with onnxscript.evaluator.default_as(recorder(opset, {})):
            try:
                function(*arguments, **named)
            except Exception as error:  # noqa: BLE001 - whatever a translation raises is why it cannot be translated
                yield node, _gist(error)


def _value_of(node: torch.fx.Node) -> Any:  # noqa: ANN401 - a graph value, or as many as the node gives
    given = node.meta.get("val")
    if isinstance(given, (list, tuple)):
        return [_typed(one, f"{node.name}__{place}") for place, one in enumerate(given)]
    return _typed(given, node.name)


def _typed(given: Any, name: str) -> ir.Value:  # noqa: ANN401 - whatever torch noted: a fake tensor, a size, None
    value = ir.Value(name=name)
    _core._set_shape_type(value, given, complex_to_float=True)  # noqa: SLF001 - as above
    return value


def _is_complex(node: torch.fx.Node) -> bool:
    values = (one.meta.get("val") for one in node.all_input_nodes)
    return any(isinstance(value, torch.Tensor) and value.is_complex() for value in values)


def _gist(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _missing(node: torch.fx.Node, reason: str, source: SourceTree) -> Missing:
    target = node.target
    assert isinstance(target, OpOverload)  # noqa: S101 - `_untranslated` gives no others
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    return Missing(
        operator=str(target).replace(".", "::", 1).removesuffix(".default"),
        module=str(path),
        kind=plain_class(kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"),
        source=source.innermost(str(node.meta.get("stack_trace") or "")),
        custom=target.namespace not in _OF_TORCH,
        reason=reason,
    )
