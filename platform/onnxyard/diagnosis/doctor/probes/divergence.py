"""Does the graph answer as the model does: the example, other lengths, other values?"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

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
    """Every divergence with the first explanation that fits; what has the same cause is told once."""
    told = set()
    for divergence in case.divergences:
        found = next(finding for explain in EXPLANATIONS if (finding := explain(case, divergence)) is not None)
        cause = (found.code, found.module, found.source, found.node or divergence.trial.axis)
        if cause not in told:
            told.add(cause)
            yield found
