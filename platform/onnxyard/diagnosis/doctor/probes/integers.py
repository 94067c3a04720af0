"""Do large integers survive?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.codes import NARROWED_TYPE
from onnxyard.diagnosis.doctor.explanations.narrowing import narrowed_to
from onnxyard.diagnosis.doctor.trials import Kind, Trial
from onnxyard.parity.error import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

_OFFSET = 1 << 40
"""An int32 keeps nothing of it."""


def probe(case: Case) -> Iterator[Finding]:
    """Where the graph casts to int32, both are asked with int64 inputs that no int32 holds."""
    wide = {name: array for name, array in case.few.items() if array.dtype == np.int64}
    place = narrowed_to(case, "INT32") if wide else None
    if place is None or case.graph_wavers or case.model_wavers:
        return
    trial = Trial(
        "large integers", Kind.VALUES, {**case.few, **{name: array + _OFFSET for name, array in wide.items()}}
    )
    answers = case.answers(trial)
    if answers.reference is None:
        return
    if answers.graph is None or compare(answers.reference, answers.graph).max_abs >= 1:
        yield NARROWED_TYPE.found(
            "The graph narrows integers to INT32: from 2^31 on they wrap around, the model's do not.",
            module=place.module,
            source=place.source,
            node=place.node,
        )
