"""The file under inspection: parsed, opened, and known to be harmless."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from onnxyard.sources.admission.graphs import every_graph, every_node
from onnxyard.sources.admission.opening import Answer, Opener
from onnxyard.sources.admission.origins import origins_of_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


@dataclass(frozen=True)
class Subject:
    """A model that was admitted.

    Attributes:
        model: The parsed model; weights in external data are read by `values`.
        opener: Opens its file.
        answer: What it gave for made-up inputs; None where none could be made up.
    """

    model: onnx.ModelProto
    opener: Opener
    answer: Answer | None

    @cached_property
    def origins(self) -> dict[str, tuple[str, str]]:
        """Module and source line by tensor, where the file says them."""
        return origins_of_tensors(self.model)

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that take a tensor, by its name."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in every_node(self.model):
            for name in filter(None, node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def kept(self) -> frozenset[str]:
        """Names that a graph gives as its output."""
        return frozenset(output.name for graph in every_graph(self.model) for output in graph.output)

    def initializers(self) -> Iterator[onnx.TensorProto]:
        """The weights of every graph in the file."""
        for graph in every_graph(self.model):
            yield from graph.initializer

    def values(self, tensor: onnx.TensorProto) -> np.ndarray:
        """A tensor's values, from beside the file where they lie there."""
        return numpy_helper.to_array(tensor, base_dir=str(self.opener.file.parent))

    def origin(self, tensor: str) -> dict[str, str]:
        """Module and source line of a tensor, as `Code.found` takes them."""
        module, source = self.origins.get(tensor, ("", ""))
        return {"module": module, "source": source}
