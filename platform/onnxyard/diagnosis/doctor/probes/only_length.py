"""Does the model itself take another length of an axis that is declared dynamic?"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import BAKED_AXIS
from onnxyard.diagnosis.doctor import trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """A trial that the model refuses is none; an axis without any trial has one length, whatever the graph says.

    A length of 1 broadcasts, so that it tells nothing.
    """
    torch = case.subject.torch
    for axis, all_of_it in groupby(trials.lengths(case.subject.asked), key=lambda trial: trial.axis):
        asked = [trial for trial in all_of_it if trial.length > 1]
        if any(case.answers(trial).reference is not None for trial in asked):
            continue
        module, source = (torch.stumble(asked[0].inputs) if torch else None) or ("", "")
        yield BAKED_AXIS.found(
            f"The axis {axis!r} is declared dynamic, and the model itself takes no other length than the example's.",
            module=module,
            source=source,
        )
