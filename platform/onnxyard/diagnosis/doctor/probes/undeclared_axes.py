"""Does the model take other lengths than the graph?"""

from __future__ import annotations

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
    """Ask the model with one element more and one less along each axis that is declared fixed."""
    asked = case.subject.asked
    for name, array in asked.inputs.items():
        for at, axis in enumerate(asked.axes_of(name)):
            if at == 0 or isinstance(axis, str) or array.ndim >= _IMAGE or axis < 2:
                continue
            answers = [
                case.asked_reference(trials.with_axis(asked, name, at, length)) for length in (axis - 1, axis + 1)
            ]
            if all(answer is not None and _finite(answer) for answer in answers):
                yield UNDECLARED_AXIS.found(
                    f"Axis {at} of {name!r} has length {axis} in the graph; the model takes {axis - 1} and {axis + 1} "
                    "too.",
                    node=f"{name}[{at}]",
                    fix=FIX if case.subject.development is not None else "",
                )


def _finite(outputs: Mapping[str, np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in outputs.values() if is_floating(array.dtype))
