"""Are these the inputs that the model takes? Asked the same way in front of every runtime."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError
from onnxyard.tensors.dtypes import numpy_dtype, onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.lifecycle.signature import Signature, TensorSpec


class InputCheck:
    """`check_inputs` of one signature, made ready: a model of a few microseconds is called no slower for it.

    Inputs that fit are let through by comparisons alone; whatever is not plainly right is looked at in full.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        names = Counter(axis for spec in signature.inputs for axis in spec.shape if isinstance(axis, str))
        self._plain = [
            (
                spec.name,
                numpy_dtype(spec.dtype),
                len(spec.shape),
                tuple((at, axis) for at, axis in enumerate(spec.shape) if isinstance(axis, int)),
                tuple((at, axis) for at, axis in enumerate(spec.shape) if isinstance(axis, str) and names[axis] > 1),
            )
            for spec in signature.inputs
        ]

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inputs as runtimes take them: those copied that do not lie in memory row by row.

        Raises:
            InvalidRequestError: they do not fit, as `check_inputs`.
        """
        if self._fit(inputs) and isinstance(inputs, dict):
            return inputs
        check_inputs(self._signature, inputs)
        return {name: np.ascontiguousarray(array) for name, array in inputs.items()}

    def _fit(self, inputs: Mapping[str, np.ndarray]) -> bool:
        """Whether they are plainly right, down to their place in memory."""
        if len(inputs) != len(self._plain):
            return False
        lengths: dict[str, int] = {}
        for name, dtype, rank, fixed, shared in self._plain:
            array = inputs.get(name)
            if array is None or array.dtype is not dtype or not array.flags.c_contiguous:
                return False
            shape = array.shape
            if len(shape) != rank:
                return False
            for at, length in fixed:
                if shape[at] != length:
                    return False
            for at, axis in shared:
                if lengths.setdefault(axis, shape[at]) != shape[at]:
                    return False
        return True


def check_inputs(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """Compare names, dtypes and shapes with the signature; axes of one name must have one length over all inputs.

    Raises:
        InvalidRequestError: naming the first input that does not fit, what it is and what it should be.
    """
    wanted = {spec.name for spec in signature.inputs}
    if missing := sorted(wanted - inputs.keys()):
        raise InvalidRequestError(f"The input {missing[0]!r} is missing.", remedy=_takes(signature))
    if unknown := sorted(inputs.keys() - wanted):
        raise InvalidRequestError(f"The model has no input {unknown[0]!r}.", remedy=_takes(signature))
    lengths: dict[str, tuple[int, str]] = {}
    for spec in signature.inputs:
        array = inputs[spec.name]
        if (dtype := onnx_name(array.dtype)) != spec.dtype:
            raise InvalidRequestError(f"The input {spec.name!r} is {dtype}; the model takes {spec.dtype}.")
        if not spec.accepts(array.shape):
            raise InvalidRequestError(
                f"The input {spec.name!r} has shape {list(array.shape)}; the model takes {_shape(spec)}."
            )
        for axis, length in zip(spec.shape, array.shape, strict=True):
            if isinstance(axis, str):
                other, name = lengths.setdefault(axis, (length, spec.name))
                if other != length:
                    raise InvalidRequestError(
                        f"The axis {axis!r} has length {other} in {name!r} and {length} in {spec.name!r}."
                    )


def shapes_of(inputs: Mapping[str, np.ndarray]) -> str:
    """The inputs' shapes, as `pixels [2, 1, 8, 8]`, for messages."""
    return ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())


def _shape(spec: TensorSpec) -> str:
    return f"[{', '.join(map(str, spec.shape))}]"


def _takes(signature: Signature) -> str:
    return "It takes " + ", ".join(f"{spec.name} {spec.dtype} {_shape(spec)}" for spec in signature.inputs) + "."
