"""Where a node comes from, as far as the file itself says: our own notes, or those of torch's exporter."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from onnxyard.sources.admission.graphs import every_node
from onnxyard.sources.admission.refusal import Refusal, printable
from onnxyard.sources.sidecar import MODULE_KEY, SOURCE_KEY

if TYPE_CHECKING:
    import onnx

_SCOPES, _STACK = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python")
_LONGEST_NOTE = 10_000
"""Notes come out of a foreign file: a longer one is not parsed."""


def origin_of(node: onnx.NodeProto) -> tuple[str, str]:
    """The module's path and `file:line` of a node; empty where the file does not say."""
    notes = {entry.key: entry.value for entry in node.metadata_props if len(entry.value) <= _LONGEST_NOTE}
    module = notes.get(MODULE_KEY) or _module(notes.get(_SCOPES, ""))
    source = notes.get(SOURCE_KEY) or _source(notes.get(_STACK, ""))
    return printable(module), printable(source)


def origins_of_tensors(model: onnx.ModelProto) -> dict[str, tuple[str, str]]:
    """The same by the names of the tensors that nodes give and, for weights, of the first node that takes them."""
    found: dict[str, tuple[str, str]] = {}
    for node in every_node(model):
        origin = origin_of(node)
        if any(origin):
            found |= {name: origin for name in node.output if name}
            for name in node.input:
                found.setdefault(name, origin)
    return found


def located(refusal: Refusal, model: onnx.ModelProto) -> Refusal:
    """The refusal with the module and source line of the tensor it names, where the file says them."""
    if not refusal.node:
        return refusal
    module, source = origins_of_tensors(model).get(refusal.node, ("", ""))
    return replace(refusal, module=module, source=source)


def _module(scopes: str) -> str:
    """Torch prints a Python list of the modules from the outside in; the last entry is the operator itself."""
    try:
        paths = ast.literal_eval(scopes)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    return str(paths[-2]) if isinstance(paths, list) and len(paths) > 1 else ""


def _source(stack: str) -> str:
    """The innermost line of a stack that is not a library's."""
    frames = [found for found in _FRAME.findall(stack) if not any(part in found[0] for part in _LIBRARIES)]
    return f"{frames[-1][0]}:{frames[-1][1]}" if frames else ""
