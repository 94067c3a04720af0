"""The divergence is that the graph does not follow: its answer stays, the model's changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import FOLDED_CONSTANT
from onnxyard.diagnosis.doctor.locating import locate
from onnxyard.diagnosis.doctor.trials import Kind

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding | None:
    """An output that is the same for other values of every input."""
    if divergence.trial.kind is not Kind.VALUES or divergence.failure:
        return None
    rows = len(next(iter(divergence.trial.inputs.values())))
    changed = case.answers(divergence.trial).graph
    usual = case.graph.run({name: array[:rows] for name, array in case.subject.asked.inputs.items()})
    if changed is None or changed[divergence.output].tobytes() != usual[divergence.output].tobytes():
        return None
    place = locate(case, divergence)
    return FOLDED_CONSTANT.found(
        f"The output {divergence.output!r} does not follow the input: {divergence.said}.",
        module=place.module,
        source=place.source,
        node=place.node,
    )
