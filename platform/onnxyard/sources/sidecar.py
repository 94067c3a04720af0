"""The sidecar: which module and which source line each node and tensor of the graph came from.

Optimizers rename and fuse nodes, but the tensors that survive keep their names, so the tensor is the key.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.torch.tree import SourceTree, plain_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

_FOREIGN = ("pkg.", "namespace")
"""Keys under which torch and onnxscript leave notes: stack traces with this machine's folders among them."""
SIDECAR_FILE = "sidecar.json"
"""Its name in every folder that holds one."""
MODULE_KEY = "onnxyard.module"
SOURCE_KEY = "onnxyard.source"

_FX_NODE = re.compile(r"^%(?P<name>\w+) .*?\[target=(?:torch\.ops\.)?(?P<operator>[^\]]+)\]")
_INNER = re.compile(r"val_\d+")
"""How torch's exporter names what no fx node holds: the tensors inside the translation of one operator."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something in the graph came from.

    Attributes:
        module: The module's path in the model, as `body.0`; empty for the model itself.
        kind: The module's class, as `torch.nn.modules.conv.Conv2d`.
        source: `file:line` relative to the project, the deepest line of the project's own; empty where unknown.
        operator: What the framework calls it, as `aten.conv2d.default`; empty where unknown.
        value: The framework's own name for the tensor (the fx node's), where the tensor holds a value that the
            framework computes too; empty for what is only inside the translation of one operator.
    """

    module: str
    kind: str
    source: str
    operator: str = ""
    value: str = ""


def trace_origins(model: onnx.ModelProto, source: SourceTree) -> dict[str, Origin]:
    """Origins by tensor name (every node's outputs), from what torch noted at each node.

    A node that an optimizer put in without a note gets the origin of the first of its inputs that has one.
    """
    origins: dict[str, Origin] = {}
    given = {output.name for output in model.graph.output}
    for node in all_nodes(model.graph):
        notes = {entry.key: entry.value for entry in node.metadata_props}
        origin = _origin(notes, source)
        if origin is None:
            near = next((origins[name] for name in node.input if name in origins), None)
            origin = None if near is None else replace(near, operator="", value="")
        if origin is not None:
            origins.update({name: _holding(name, origin, given) for name in node.output if name})
    return origins


def sidecar(
    model: onnx.ModelProto, origins: Mapping[str, Origin], classes: Mapping[str, str], *, exporter: str
) -> dict[str, object]:
    """The sidecar's document (JSON-compatible).

    Args:
        model: The exported graph.
        origins: By tensor name; see `trace_origins`.
        classes: The class of each module by its path, for the weights, which are named after their module.
        exporter: As `torch.onnx dynamo 2.13.0`.
    """
    weights = {tensor.name: tensor.name.rpartition(".")[0] for tensor in model.graph.initializer}
    named = {name: Origin(path, classes[path], "") for name, path in weights.items() if path and path in classes}
    nodes = [
        {"name": node.name, "op": f"{node.domain}::{node.op_type}".removeprefix("::"), "outputs": list(node.output)}
        | _fields(next((origins[name] for name in node.output if name in origins), None))
        for node in all_nodes(model.graph)
    ]
    tensors = {name: _fields(origin) for name, origin in {**named, **origins}.items()}
    return {"format": 1, "exporter": exporter, "nodes": nodes, "tensors": tensors}


def scrub(model: onnx.ModelProto, origins: Mapping[str, Origin]) -> None:
    """Replace torch's notes in the model by our own two: module path and relative source line.

    Torch's notes name this machine's folders; with them, the same project in another folder would be another model.
    """
    for holder in _holders(model.graph):
        _drop(holder)
    _drop(model)
    for node in all_nodes(model.graph):
        origin = next((origins[name] for name in node.output if name in origins), None)
        if origin is not None:
            for key, text in ((MODULE_KEY, origin.module), (SOURCE_KEY, origin.source)):
                if text:
                    node.metadata_props.add(key=key, value=text)
        node.doc_string = ""


def _fields(origin: Origin | None) -> dict[str, str]:
    if origin is None:
        return {"module": "", "class": "", "source": ""}
    known = {"module": origin.module, "class": origin.kind, "source": origin.source}
    framework = {"operator": origin.operator, "value": origin.value}
    return known | {key: text for key, text in framework.items() if text}


def _origin(notes: Mapping[str, str], source: SourceTree) -> Origin | None:
    scopes, classes = notes.get("pkg.torch.onnx.name_scopes"), notes.get("pkg.torch.onnx.class_hierarchy")
    if scopes is None or classes is None:
        return None
    # Both are printed Python lists of the modules from the outside in; the last entry is the operator itself.
    paths, kinds = ast.literal_eval(scopes), ast.literal_eval(classes)
    path, kind = (paths[-2], kinds[-2]) if len(paths) > 1 and len(kinds) > 1 else ("", "")
    noted = _FX_NODE.match(notes.get("pkg.torch.onnx.fx_node", ""))
    return Origin(
        str(path),
        plain_class(str(kind)),
        source.innermost(notes.get("pkg.torch.onnx.stack_trace", "")),
        noted["operator"] if noted else "",
        noted["name"] if noted else "",
    )


def _holding(tensor: str, origin: Origin, given: set[str]) -> Origin:
    """The tensor's own origin: torch's exporter names a tensor like the fx node whose value it holds.

    Only the graph's outputs are renamed by their user: the last node of the operator's translation gives one.
    """
    if tensor in given or not origin.value:
        return origin
    return replace(origin, value="" if _INNER.fullmatch(tensor) else tensor)


def _holders(
    graph: onnx.GraphProto,
) -> Iterator[onnx.GraphProto | onnx.NodeProto | onnx.ValueInfoProto | onnx.TensorProto]:
    yield graph
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
    yield from graph.initializer
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _holders(inner)


def _drop(holder: onnx.ModelProto | onnx.GraphProto | onnx.NodeProto | onnx.ValueInfoProto | onnx.TensorProto) -> None:
    kept = [entry for entry in holder.metadata_props if not entry.key.startswith(_FOREIGN)]
    if len(kept) != len(holder.metadata_props):
        copies = [(entry.key, entry.value) for entry in kept]
        del holder.metadata_props[:]
        for key, value in copies:
            holder.metadata_props.add(key=key, value=value)
