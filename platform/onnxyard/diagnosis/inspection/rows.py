"""Is each row answered for itself?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.file_codes import BATCH_DEPENDENT
from onnxyard.diagnosis.inspection.levels import tolerance_of
from onnxyard.diagnosis.inspection.nodes import moves_by_itself
from onnxyard.diagnosis.inspection.outputs import Arrays, apart, arrays, nudged
from onnxyard.sources.admission.opening import made_up, run
from onnxyard.sources.admission.refusal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx
    import onnxruntime as ort

    from onnxyard.diagnosis.inspection.subject import Subject
    from onnxyard.lifecycle.finding import Finding


def batch_dependence(subject: Subject) -> Iterator[Finding]:
    """The first output whose first row changes although only other rows of the inputs did.

    Asked where the file itself says that inputs and output share their first axis: by its name.
    """
    if subject.answer is None or moves_by_itself(subject.model):
        return
    first = subject.answer.inputs
    axis, batched = _shared_axis(subject.model)
    outputs = [value.name for value in subject.model.graph.output if _first_axis(value) == axis]
    if not axis or not outputs or any(len(first[name]) < 2 for name in batched if name in first):
        return
    session = subject.opener.open()
    other = next((draw for draw in made_up(session, seed=2) if _shapes(draw) == _shapes(first)), None)
    if other is None:
        return
    changed = {
        name: np.concatenate([array[:1], other[name][1:]]) if name in batched else array
        for name, array in first.items()
    }
    try:
        worst = _compare(session, first, changed, outputs)
    except Exception:  # noqa: BLE001 - ORT's errors have no common class; inputs it refuses prove nothing
        return
    for name, (distance, noise) in worst.items():
        if distance > tolerance_of(subject.model) + 16 * noise:
            yield BATCH_DEPENDENT.found(
                f"The first row of {printable(name)!r} changes by {distance:.2g} of its largest value when only the "
                "other rows do.",
                node=printable(name),
                **subject.origin(name),
            )
            return


def _compare(
    session: ort.InferenceSession, first: Arrays, changed: Arrays, outputs: list[str]
) -> dict[str, tuple[float, float]]:
    """Per output: how far its first row moved, and how far it moves by itself."""
    random = np.random.default_rng(11)
    reference = arrays(run(session, first))
    moved = arrays(run(session, changed))
    noisy = [arrays(run(session, inputs)) for inputs in (first, nudged(first, random), nudged(first, random))]
    return {
        name: (
            apart(reference[name][:1], moved[name][:1]),
            max(apart(reference[name][:1], each[name][:1]) for each in noisy),
        )
        for name in outputs
        if name in reference and reference[name].ndim and len(reference[name])
    }


def _shared_axis(model: onnx.ModelProto) -> tuple[str, set[str]]:
    """The name of the inputs' free first axis, and the inputs that have it; empty where they differ."""
    constants = {tensor.name for tensor in model.graph.initializer}
    axes = {value.name: _first_axis(value) for value in model.graph.input if value.name not in constants}
    named = {axis for axis in axes.values() if axis}
    axis = named.pop() if len(named) == 1 else ""
    return axis, {name for name, each in axes.items() if axis and each == axis}


def _first_axis(value: onnx.ValueInfoProto) -> str:
    axes = value.type.tensor_type.shape.dim
    return axes[0].dim_param if axes else ""


def _shapes(inputs: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in inputs.items()}
