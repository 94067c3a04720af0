"""Does the model take other lengths than the graph?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.codes import UNDECLARED_AXIS
from onnxyard.diagnosis.doctor import trials
from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

FIX = "name-axes"
_IMAGE = 4
"""From this rank on, axes are the sides of an image, which preprocessing has chosen."""


def probe(case: Case) -> Iterator[Finding]:
    """Ask the model with one element more and one less along each axis that is declared fixed.

    Where it does not take that of one input alone, the inputs with an axis of this length are tried together.
    """
    asked, project = case.subject.asked, case.subject.development
    # Steps in front of the model give its inputs the axes they have.
    fix = FIX if project is not None and not project.project.file.preprocess else ""
    by_length: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for name, array in asked.inputs.items():
        for at, axis in enumerate(asked.axes_of(name)):
            if at > 0 and isinstance(axis, int) and axis > 1 and array.ndim < _IMAGE:
                by_length[at, axis].append(name)
    for (at, length), names in by_length.items():
        alone = [name for name in names if _takes_others(case, [name], at, length)]
        together = [] if alone or len(names) < 2 or not _takes_others(case, names, at, length) else [names]
        for group in (*([name] for name in alone), *together):
            yield UNDECLARED_AXIS.found(
                f"Axis {at} of {' and '.join(map(repr, group))} has length {length} in the graph; the model takes "
                f"{length - 1} and {length + 1} too.",
                node=" ".join(f"{name}[{at}]" for name in group),
                fix=fix,
            )


def _takes_others(case: Case, names: list[str], at: int, length: int) -> bool:
    answers = (
        case.asked_reference(trials.with_axis(case.subject.asked, names, at, other))
        for other in (length - 1, length + 1)
    )
    return all(answer is not None and _finite(answer) for answer in answers)


def _finite(outputs: Mapping[str, np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in outputs.values() if is_floating(array.dtype))
