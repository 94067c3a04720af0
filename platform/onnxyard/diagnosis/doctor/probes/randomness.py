"""Does the graph draw random numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import UNSEEDED_RANDOMNESS
from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

_DRAWING = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


def probe(case: Case) -> Iterator[Finding]:
    """Two answers to one question are compared; the nodes that draw are named."""
    if not case.graph_wavers:
        return
    for node in all_nodes(case.proto.graph):
        if node.op_type in _DRAWING:
            place = case.places.of(node)
            yield UNSEEDED_RANDOMNESS.found(
                f"{node.op_type} draws anew each time: two answers to one question differ.",
                module=place.module,
                source=place.source,
                node=place.node,
            )
