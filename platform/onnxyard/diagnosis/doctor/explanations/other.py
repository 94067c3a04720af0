"""Nothing that has a name: the graph computes something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import OUTPUT_DIFFERS
from onnxyard.diagnosis.doctor.locating import locate

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding:
    """Always fits."""
    place = locate(case, divergence)
    return OUTPUT_DIFFERS.found(
        f"{divergence.said[0].upper()}{divergence.said[1:]}.",
        module=place.module,
        source=place.source,
        node=place.node,
    )
