"""From a divergence to its place: the node that ONNX Runtime names, else what blame finds between the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame import TorchSource, blame
from onnxyard.diagnosis.doctor.places import Place
from onnxyard.errors import OnnxyardError

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence


def locate(case: Case, divergence: Divergence) -> Place:
    """Module path, line and node; empty where nobody can tell."""
    if divergence.failure:
        return case.places.of_failure(divergence.failure)
    torch, asked = case.subject.torch, case.subject.asked
    if torch is None:
        return case.places.of_output(divergence.output)
    source = TorchSource(
        torch.module, outputs=asked.outputs, axes=asked.axes, translations=asked.translations, tree=torch.source
    )
    try:
        found = blame(source, case.proto, divergence.trial.inputs, sidecar=case.exported.sidecar).culprit
    except OnnxyardError:
        return Place()  # the module cannot be traced at this trial; the divergence itself is told all the same
    if found is None:
        return Place()
    return case.places.at(found.spot.module, found.spot.source, node=found.spot.node)
