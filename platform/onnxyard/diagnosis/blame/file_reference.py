"""An ONNX file as the side that is right by definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame.origins import origins_of
from onnxyard.diagnosis.blame.reference import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    import onnx

    from onnxyard.diagnosis.blame.probe import Probe


class OnnxFile:
    """A `Reference` over a graph under the probe.

    Args:
        probe: The graph.
        name: What to call it.
    """

    def __init__(self, probe: Probe, name: str) -> None:
        self._probe = probe
        self._name = name
        origins = origins_of(probe.model, {})
        self._places = tuple(
            Place(tensor, _operator(probe.producers[tensor]), *origins.get(tensor, ("", "", "")))
            for tensor in probe.tensors
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def places(self) -> tuple[Place, ...]:
        return self._places

    @property
    def outputs(self) -> tuple[str, ...]:
        return self._probe.outputs

    @property
    def fresh(self) -> onnx.ModelProto:
        return self._probe.model

    def run(self, inputs: Mapping[str, np.ndarray], keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
        wanted = [*self._probe.tensors, *(name for name in self.outputs if name not in self._probe.producers)]
        return self._probe.run(inputs, [name for name in wanted if keep is None or name in keep])

    def noise(self, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:  # noqa: ARG002 - ONNX Runtime has no float64 kernels for most operators
        return {}


def _operator(node: onnx.NodeProto) -> str:
    return f"{node.domain}::{node.op_type}".removeprefix("::")
