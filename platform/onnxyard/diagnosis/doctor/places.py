"""Where something in the graph came from: by the sidecar, and by the model's own calls where that is silent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx

    from onnxyard.diagnosis.doctor.torch.reference import TorchReference

_FAILED_NODE = re.compile(r"Name:'(?P<name>[^']*)'")
"""How ONNX Runtime names the node that failed, in its message."""


@dataclass(frozen=True, slots=True)
class Place:
    """Module path, `file:line` and ONNX node; empty where unknown."""

    module: str = ""
    source: str = ""
    node: str = ""


class Places:
    """The places of one graph.

    Args:
        proto: The graph.
        sidecar: Its sidecar's document.
        torch: The module, for lines that the sidecar does not know.
        example: What the module is asked for them.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        sidecar: Mapping[str, object],
        torch: TorchReference | None,
        example: Mapping[str, np.ndarray],
    ) -> None:
        told = sidecar.get("tensors")
        self._tensors: dict[str, dict[str, str]] = told if isinstance(told, dict) else {}
        self._nodes = {node.name: node for node in all_nodes(proto.graph) if node.name}
        self._torch = torch
        self._example = example

    def of(self, node: onnx.NodeProto, *, function: str = "") -> Place:
        """The place of a node; `function` is what the framework calls it, where only its calls know the line."""
        fields = next((self._tensors[name] for name in node.output if name in self._tensors), {})
        return self.at(fields.get("module", ""), fields.get("source", ""), node=node.name, function=function)

    def at(self, module: str, source: str = "", *, node: str = "", function: str = "") -> Place:
        """A place whose line is looked up where it is not known."""
        if not source and self._torch is not None:
            source = self._torch.line_of(module, self._example, function=function)
        return Place(module, source, node)

    def of_failure(self, message: str) -> Place:
        """The place of the node that ONNX Runtime's message names."""
        match = _FAILED_NODE.search(message)
        node = self._nodes.get(match["name"]) if match else None
        return Place() if node is None else self.of(node)

    def of_output(self, name: str) -> Place:
        """The place that an output of the graph is made at."""
        node = next((node for node in self._nodes.values() if name in node.output), None)
        return Place() if node is None else self.of(node)
