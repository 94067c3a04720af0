"""The divergence shows at another length of an axis only: the example's length is inside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import BAKED_AXIS
from onnxyard.diagnosis.doctor.locating import locate
from onnxyard.diagnosis.doctor.trials import Kind

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding | None:
    """A length that the model takes and the graph does not, or answers wrongly."""
    trial = divergence.trial
    if trial.kind is not Kind.LENGTH:
        return None
    place = locate(case, divergence)
    return BAKED_AXIS.found(
        f"The axis {trial.axis!r} is fixed inside the graph: {divergence.said}.",
        module=place.module,
        source=place.source,
        node=place.node,
    )
