"""Are these the inputs that the model takes? Asked the same way in front of every runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from onnxyard.lifecycle.signature import Signature, TensorSpec


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
