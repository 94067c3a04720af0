"""Is a layer still being trained?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import numpy_helper

from onnxyard.diagnosis.codes import TRAINING_MODE
from onnxyard.diagnosis.doctor.live_layers import live_layers
from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """Layers of the model first; then nodes of a graph that answers at random, where no layer accounts for them."""
    layers = list(live_layers(case.subject))
    yield from layers
    if not case.graph_wavers:
        return
    known = {finding.module for finding in layers}
    for node in all_nodes(case.proto.graph):
        if node.op_type == "Dropout" and _training(case, node):
            place = case.places.of(node, function="dropout")
            if place.module not in known or not layers:
                yield TRAINING_MODE.found(
                    "Dropout is active in the graph: two answers to one question differ.",
                    module=place.module,
                    source=place.source,
                    node=place.node,
                )


def _training(case: Case, node: onnx.NodeProto) -> bool:
    mode = case.constants.get(node.input[2]) if len(node.input) > 2 else None
    return mode is not None and bool(numpy_helper.to_array(mode))
