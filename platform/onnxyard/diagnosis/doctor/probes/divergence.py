"""Does the graph answer as the model does: the example, other lengths, other values?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import BAKED_AXIS
from onnxyard.diagnosis.doctor.explanations import (
    axes,
    branches,
    constants,
    narrowing,
    other,
    outputs,
    resizing,
    training,
)
from onnxyard.diagnosis.doctor.trials import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

_NOWHERE = BAKED_AXIS.found("")

EXPLANATIONS = (
    training.explain,
    outputs.explain,
    narrowing.explain,
    resizing.explain,
    branches.explain,
    axes.explain,
    constants.explain,
    other.explain,
)
"""The most certain first; the last one always fits."""


def probe(case: Case) -> Iterator[Finding]:
    """Every divergence with the first explanation that fits; what has the same cause is told once.

    Where the graph fails, ONNX Runtime names the node, so these come before those that have to be searched for.
    """
    told: dict[tuple[str, ...], Finding] = {}
    for divergence in sorted(case.divergences, key=lambda one: (one.trial.kind is not Kind.EXAMPLE, not one.failure)):
        axis = divergence.trial.axis
        if axis and told.get((BAKED_AXIS.name, axis), _NOWHERE).source:
            continue
        found = next(finding for explain in EXPLANATIONS if (finding := explain(case, divergence)) is not None)
        cause = (found.code, axis) if axis else (found.code, found.module, found.source, found.node)
        if cause not in told or (found.source and not told[cause].source):
            told[cause] = found
    yield from told.values()
