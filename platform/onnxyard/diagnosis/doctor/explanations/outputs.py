"""The divergence is one of order: each value is there, under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import OUTPUTS_ALIASED, OUTPUTS_SWAPPED
from onnxyard.parity.error import compare

if TYPE_CHECKING:
    import numpy as np

    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding | None:
    """Another output of the graph answers what this one should; or this one is another one's very tensor."""
    answers = case.answers(divergence.trial)
    if answers.reference is None or answers.graph is None or not divergence.output:
        return None
    name = divergence.output
    wanted, got = answers.reference[name], answers.graph[name]
    for other, array in answers.graph.items():
        if other == name:
            continue
        if _same(got, array) and not _same(wanted, answers.reference[other]):
            place = case.places.of_output(name)
            return OUTPUTS_ALIASED.found(
                f"The graph gives one tensor as {other!r} and {name!r}; the model gives two different ones.",
                module=place.module,
                source=place.source,
                node=place.node,
            )
        if compare({name: wanted}, {name: array}).max_abs <= divergence.tolerance:
            place = case.places.of_output(other)
            return OUTPUTS_SWAPPED.found(
                f"The graph gives as {other!r} what the model gives as {name!r}.",
                module=place.module,
                source=place.source,
                node=place.node,
            )
    return None


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
