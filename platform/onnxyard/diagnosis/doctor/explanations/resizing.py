"""The divergence comes from a resize: the node alone gives other values than the framework's function alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import RESIZE_DIFFERS

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding | None:
    """The first resize that differs by itself at the sizes of this trial."""
    if case.subject.torch is None or divergence.failure:
        return None
    from onnxyard.diagnosis.doctor.torch.resampling import resamplings  # noqa: PLC0415 - imports torch

    for one in resamplings(case, divergence.trial.inputs):
        error = one.apart(one.call.tensors[0][2:])
        if error:
            return RESIZE_DIFFERS.found(
                f"{one.said} differs from the framework's by {error:.3g} of the largest value: {divergence.said}.",
                module=one.place.module,
                source=one.place.source,
                node=one.place.node,
            )
    return None
