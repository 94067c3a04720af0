"""Where the tensors of a graph came from: the sidecar, or what the graph's own nodes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxyard.sources.sidecar import MODULE_KEY, SOURCE_KEY, trace_origins
from onnxyard.sources.torch.tree import SourceTree

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx


class From(NamedTuple):
    """Module path, class and `file:line`; empty where unknown."""

    module: str
    kind: str
    source: str


def origins_of(model: onnx.ModelProto, sidecar: Mapping[str, object]) -> dict[str, From]:
    """By tensor: from the sidecar where it tells, else from our notes or torch's at the node that makes it.

    Args:
        model: The graph.
        sidecar: Its sidecar's document; empty where there is none.
    """
    noted = {name: From(one.module, one.kind, one.source) for name, one in trace_origins(model, SourceTree(())).items()}
    for node in model.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        if notes.keys() & {MODULE_KEY, SOURCE_KEY}:
            ours = From(notes.get(MODULE_KEY, ""), "", notes.get(SOURCE_KEY, ""))
            noted.update({name: ours for name in node.output if name})
    for name, fields in told(sidecar).items():
        noted[name] = From(fields.get("module", ""), fields.get("class", ""), fields.get("source", ""))
    return noted


def told(sidecar: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """The sidecar's entries by tensor; nothing where it has another form."""
    tensors = sidecar.get("tensors")
    return tensors if isinstance(tensors, dict) else {}
