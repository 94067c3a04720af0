"""The divergence is what a narrower type explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from onnxyard.diagnosis.codes import NARROWED_TYPE
from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.diagnosis.doctor.places import Place
    from onnxyard.lifecycle.finding import Finding

_NARROWER = {
    "FLOAT": float(np.finfo(np.float32).eps),
    "FLOAT16": float(np.finfo(np.float16).eps),
    "BFLOAT16": 2.0**-7,
}
"""Rounding units of what values are narrowed to, the finest first."""


def explain(case: Case, divergence: Divergence) -> Finding | None:
    """The model computes in a wider type, the graph holds a narrower one, and its rounding is as large as the error."""
    answers = case.answers(divergence.trial)
    if answers.reference is None or answers.graph is None or not np.isfinite(divergence.error):
        return None
    inputs = divergence.trial.inputs
    epsilon = case.subject.noise.epsilon
    for kind, unit in _NARROWER.items():
        place = narrowed_to(case, kind) if unit > epsilon else None
        if place is None:
            continue
        if divergence.error <= case.subject.noise.tolerance(inputs, answers.reference, unit)[divergence.output]:
            return NARROWED_TYPE.found(
                f"The model computes in steps of {epsilon:.1g}, the graph in {kind}: {divergence.said}.",
                module=place.module,
                source=place.source,
                node=place.node,
            )
    return None


def narrowed_to(case: Case, kind: str) -> Place | None:
    """The first cast to an element type; None where there is none."""
    wanted = TensorProto.DataType.Value(kind)
    for node in all_nodes(case.proto.graph):
        if node.op_type == "Cast" and any(a.name == "to" and a.i == wanted for a in node.attribute):
            return case.places.of(node)
    return None
