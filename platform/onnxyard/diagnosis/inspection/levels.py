"""Does the graph answer the same however far ONNX Runtime optimizes it?

Rounding differs between levels, and a discrete answer may tip over with it. So the graph is also asked with inputs that
are moved by less than float32 resolves in a few operations: what such a step changes is noise, and nobody is accused of
noise. What is left is compared by the largest difference relative to the largest value of the output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from onnxyard.diagnosis.file_codes import OPTIMIZATION_DIFFERS
from onnxyard.diagnosis.inspection.nodes import moves_by_itself
from onnxyard.diagnosis.inspection.outputs import Arrays, apart, arrays, nudged
from onnxyard.sources.admission.graphs import every_node, every_tensor
from onnxyard.sources.admission.opening import made_up, printable_line, run
from onnxyard.sources.admission.refusal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

    from onnxyard.diagnosis.inspection.subject import Subject
    from onnxyard.lifecycle.finding import Finding

_LEVELS = {
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_PLAIN = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
_SINGLE, _HALF, _QUANTIZED = 1e-3, 5e-2, 1e-1
"""For float32, for float16 and bfloat16, for quantized integers."""
_NUDGES = 4
_NOISE_FACTOR = 16.0
_HALVES = frozenset({10, 16})
_INTEGER = ("Quantize", "DequantizeLinear", "QLinear", "ConvInteger", "MatMulInteger", "MatMulNBits")


def differing_levels(subject: Subject) -> Iterator[Finding]:
    """The first level at which an output differs, for the made-up inputs that were tried and a second draw of them."""
    if subject.answer is None or moves_by_itself(subject.model):
        return
    tolerance = tolerance_of(subject.model)
    plain = subject.opener.open(_PLAIN)
    draws = [subject.answer.inputs, *_second_draw(plain, subject.answer.inputs)]
    trusted = []
    for inputs in draws:
        try:
            reference = arrays(run(plain, inputs))
            noise = _noise(plain, inputs, reference)
        except Exception:  # noqa: BLE001, S112 - ORT's errors have no common class; inputs it refuses prove nothing
            continue
        trusted.append((inputs, reference, noise))
    for name, level in _LEVELS.items():
        session = subject.opener.open(level)
        for inputs, reference, noise in trusted:
            try:
                actual = arrays(run(session, inputs))
            except Exception as error:  # noqa: BLE001 - as above
                yield _failing(name, error)
                return
            for output, wanted in reference.items():
                distance = apart(wanted, actual.get(output))
                if distance > tolerance + _NOISE_FACTOR * noise[output]:
                    yield _finding(subject, name, output, distance)
                    return


def _finding(subject: Subject, level: str, output: str, distance: float) -> Finding:
    how = (
        f"by {distance:.2g} of its largest value"
        if np.isfinite(distance)
        else "in shape, in kind or where it is finite"
    )
    return OPTIMIZATION_DIFFERS.found(
        f"At ONNX Runtime's level {level!r} the output {printable(output)!r} differs {how} from the graph as it is.",
        node=printable(output),
        **subject.origin(output),
    )


def _failing(level: str, error: Exception) -> Finding:
    return OPTIMIZATION_DIFFERS.found(
        f"At ONNX Runtime's level {level!r} the graph fails on inputs that it takes as it is: "
        f"{printable_line(str(error))}."
    )


def tolerance_of(model: onnx.ModelProto) -> float:
    """The relative difference that rounding alone may make, by the coarsest arithmetic in the graph."""
    if any(node.op_type.startswith(_INTEGER) for node in every_node(model)):
        return _QUANTIZED
    types = {tensor.data_type for tensor in every_tensor(model)}
    types |= {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    types |= {
        attribute.i
        for node in every_node(model)
        if node.op_type == "Cast"
        for attribute in node.attribute
        if attribute.name == "to"
    }
    return _HALF if types & _HALVES else _SINGLE


def _second_draw(session: ort.InferenceSession, like: Mapping[str, np.ndarray]) -> Iterator[Arrays]:
    for inputs in made_up(session, seed=1):
        if all(inputs[name].shape == array.shape for name, array in like.items()):
            yield inputs
            return


def _noise(session: ort.InferenceSession, inputs: Arrays, reference: Arrays) -> dict[str, float]:
    """How far each output moves by itself: between two runs, and with inputs that are nudged."""
    worst = dict.fromkeys(reference, 0.0)
    random = np.random.default_rng(7)
    for step in range(_NUDGES + 1):
        moved = arrays(run(session, inputs if step == 0 else nudged(inputs, random)))
        for output, wanted in reference.items():
            worst[output] = max(worst[output], apart(wanted, moved.get(output)))
    return worst
