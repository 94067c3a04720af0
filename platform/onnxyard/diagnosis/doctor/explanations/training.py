"""The divergence comes from a layer that is still being trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.doctor.live_layers import live_layers

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding | None:  # noqa: ARG001 - an explanation's shape
    """A batch norm in training mode: the model's answer depends on the batch, the graph's need not."""
    return next(live_layers(case.subject), None)
