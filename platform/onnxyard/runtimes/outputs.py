"""Are these the outputs that the signature promises? Runtimes that do not ask give rows short or too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.inputs import shapes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from onnxyard.lifecycle.signature import Signature


def check_outputs(signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
    """Compare shapes with the signature; an axis named as one of an input has that one's length.

    Raises:
        UnsupportedModelError: naming the first output that has another shape.
    """
    lengths = {
        axis: length
        for spec in signature.inputs
        for axis, length in zip(spec.shape, inputs[spec.name].shape, strict=True)
    }
    for spec in signature.outputs:
        shape = outputs[spec.name].shape
        wanted = [lengths.get(axis, axis) for axis in spec.shape]
        if len(wanted) != len(shape) or any(
            isinstance(want, int) and want != got for want, got in zip(wanted, shape, strict=True)
        ):
            raise UnsupportedModelError(
                f"For inputs of the shapes {shapes_of(inputs)} the model gives {spec.name!r} the shape "
                f"{list(shape)} instead of {wanted}."
            )
