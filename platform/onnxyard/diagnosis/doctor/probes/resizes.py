"""Would a resize match at other sizes too?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import RESIZE_SIZE_BOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

_ODD = ((5, 7, 9), (9, 13, 5))
"""Input sizes; a resize of n axes takes the first n."""


def probe(case: Case) -> Iterator[Finding]:
    """Each resize that matches at the example's size is compared alone at odd ones."""
    if case.subject.torch is None or not any(n.op_type in _RESIZES for n in case.proto.graph.node):
        return
    from onnxyard.diagnosis.doctor.torch.resampling import resamplings  # noqa: PLC0415 - imports torch

    for one in resamplings(case, case.subject.asked.inputs):
        spatial = one.call.tensors[0][2:]
        errors = {sizes[: len(spatial)]: one.apart(sizes[: len(spatial)]) for sizes in _ODD}
        worst = max(errors, key=lambda sizes: errors[sizes])
        if errors[worst] and not one.apart(spatial):
            yield RESIZE_SIZE_BOUND.found(
                f"{one.said} matches the framework here; from {list(worst)} it would differ by {errors[worst]:.3g} of "
                "the largest value.",
                module=one.place.module,
                source=one.place.source,
                node=one.place.node,
            )


_RESIZES = frozenset({"Resize", "Upsample", "GridSample"})
