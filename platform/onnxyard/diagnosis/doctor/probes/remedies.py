"""What had to be done for the graph?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import REMEDY_APPLIED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """Tell what the export says of itself, where the graph answers as the model does."""
    if case.graph_wavers or case.model_wavers or case.divergences:
        return
    for remedy in case.exported.remedies:
        yield REMEDY_APPLIED.found(remedy)
