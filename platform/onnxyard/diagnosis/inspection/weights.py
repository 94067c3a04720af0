"""Weights that nobody uses, that are stored twice, that repeat themselves, or that are no numbers."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnxyard.diagnosis.file_codes import DEAD_WEIGHTS, DUPLICATE_WEIGHTS, NONFINITE_WEIGHTS, OVERSIZE_CONSTANT
from onnxyard.sources.admission.graphs import bytes_of, every_node
from onnxyard.sources.admission.refusal import in_units, printable
from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from onnxyard.diagnosis.inspection.subject import Subject
    from onnxyard.lifecycle.finding import Finding

TWICE_BYTES = 4096
"""Weights below this are equal by chance or by design, as two biases of zeros."""
_OVERSIZE_BYTES = 1 << 16
_OVERSIZE_RATIO = 8
_TRAINED = frozenset(
    {"BatchNormalization", "Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "LayerNormalization", "MatMul", "RNN"}
)
"""Operators whose weights are trained: infinity is a fault there, and a mask or a bound elsewhere."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that the file holds.

    Attributes:
        name: Its name; for a Constant node, the name of what it gives.
        tensor: The tensor.
    """

    name: str
    tensor: onnx.TensorProto

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return bytes_of(math.prod(self.tensor.dims), self.tensor.data_type)


def dead_weights(subject: Subject) -> Iterator[Finding]:
    """Initializers that no node takes and no graph gives."""
    unused = [
        Weight(tensor.name, tensor)
        for tensor in subject.initializers()
        if tensor.name not in subject.consumers and tensor.name not in subject.kept
    ]
    if unused:
        size = in_units(sum(weight.size for weight in unused))
        yield DEAD_WEIGHTS.found(
            f"{_count(unused)} ({size}) used by nothing: {_names(weight.name for weight in unused)}.",
            node=printable(unused[0].name),
            fix=DEAD_WEIGHTS.name,
        )


def examine_values(subject: Subject) -> Iterator[Finding]:
    """What the values themselves show; every weight is read once."""
    copies: dict[object, list[Weight]] = {}
    for weight in _weights(subject):
        if weight.tensor.data_type == onnx.TensorProto.STRING:
            continue
        values = subject.values(weight.tensor)
        yield from _nonfinite(subject, weight, values)
        core = _core(values) if weight.size >= _OVERSIZE_BYTES else values.shape
        if math.prod(core) * _OVERSIZE_RATIO <= values.size:
            yield OVERSIZE_CONSTANT.found(
                f"The constant {printable(weight.name)!r} of {in_units(weight.size)} and shape {list(values.shape)} "
                f"repeats its {list(core)}.",
                node=printable(weight.name),
                **subject.origin(weight.name),
            )
        elif weight.size >= TWICE_BYTES and not _uniform(values):
            copies.setdefault(content(values), []).append(weight)
    for same in copies.values():
        if len(same) > 1:
            size = in_units(sum(weight.size for weight in same[1:]))
            yield DUPLICATE_WEIGHTS.found(
                f"{len(same)} weights hold the same values, {size} too many: {_names(one.name for one in same)}.",
                node=printable(same[0].name),
                fix=DUPLICATE_WEIGHTS.name,
                **subject.origin(same[0].name),
            )


def _weights(subject: Subject) -> Iterator[Weight]:
    for tensor in subject.initializers():
        yield Weight(tensor.name, tensor)
    for node in every_node(subject.model):
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value" and attribute.HasField("t"):
                yield Weight(node.output[0], attribute.t)


def _nonfinite(subject: Subject, weight: Weight, values: np.ndarray) -> Iterator[Finding]:
    if not is_floating(values.dtype) or values.size < 2:
        return
    wide = values.astype(np.float32) if values.dtype.kind == "V" else values
    nans = int(np.isnan(wide).sum())
    infinite = 0
    if any(node.op_type in _TRAINED for node in subject.consumers.get(weight.name, ())):
        infinite = int(np.isinf(wide).sum())
    if nans or infinite:
        what = f"{nans} NaN" if nans else f"{infinite} infinite values"
        yield NONFINITE_WEIGHTS.found(
            f"The weight {printable(weight.name)!r} holds {what} among {values.size}.",
            node=printable(weight.name),
            **subject.origin(weight.name),
        )


def content(values: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """Equal for tensors of one type, shape and values."""
    return values.dtype.name, values.shape, hashlib.sha256(np.ascontiguousarray(values).tobytes()).digest()


def _core(values: np.ndarray) -> tuple[int, ...]:
    """The shape of the smallest tensor that broadcasts to these values."""
    lengths = []
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        same = values.shape[axis] > 1 and bool((values == first).all())
        values = first if same else values
        lengths.append(values.shape[axis])
    return tuple(lengths)


def _uniform(values: np.ndarray) -> bool:
    return values.size == 0 or bool((values == values.reshape(-1)[0]).all())


def _count(weights: Sequence[Weight]) -> str:
    return "One weight is" if len(weights) == 1 else f"{len(weights)} weights are"


def _names(names: Iterable[str]) -> str:
    listed = [printable(name) for name in names]
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
