"""Does the model give one tensor under two names?"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import OUTPUTS_EQUAL
from onnxyard.diagnosis.doctor import trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """Outputs whose values are the same for every trial."""
    if len(case.subject.asked.outputs) < 2:
        return
    asked = case.subject.asked
    answered = [case.answers(trial).reference for trial in (trials.example(asked), *trials.values(asked))]
    for one, other in combinations(asked.outputs, 2):
        if all(_same(outputs[one], outputs[other]) for outputs in answered if outputs is not None):
            place = case.places.of_output(other)
            yield OUTPUTS_EQUAL.found(
                f"{one!r} and {other!r} are the same tensor.", module=place.module, source=place.source, node=place.node
            )


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
