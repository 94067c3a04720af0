"""Does the same question get the same answer?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.doctor import trials
from onnxyard.diagnosis.doctor.noise import rounding
from onnxyard.errors import OnnxyardError
from onnxyard.parity.error import compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.ports.runtime import LoadedModel


def wavers(model: LoadedModel, questions: Iterable[Mapping[str, np.ndarray]]) -> bool:
    """Whether two answers to one question differ by more than the order of sums explains.

    Args:
        model: The model, or a graph of it.
        questions: The first one that it takes is asked (two rows are not what a baked-in batch takes). Where it takes
            none, it does not waver.
    """
    for inputs in questions:
        try:
            one, two = model.run(inputs), model.run(inputs)
        except OnnxyardError:
            continue
        return any(
            compare({name: array}, {name: two[name]}).max_abs > rounding(array, _epsilon(array))
            for name, array in one.items()
        )
    return False


def mixes_rows(subject: Subject) -> bool:
    """Whether the model answers its first rows otherwise in other company."""
    few = trials.few_rows(subject.asked, 2)
    try:
        alone, together = subject.reference.run(few), subject.reference.run(subject.asked.inputs)
    except OnnxyardError:
        return False
    tolerance = subject.noise.tolerance(few, alone, subject.noise.epsilon)
    return any(
        compare({name: array}, {name: together[name][: len(array)]}).max_abs > tolerance[name]
        for name, array in alone.items()
        if array.ndim
    )


def _epsilon(array: np.ndarray) -> float:
    return float(np.finfo(array.dtype if array.dtype.kind == "f" else np.float32).eps)
