"""The signature of a model that does not say beforehand what it takes and gives: as one run of it showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


def observed(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> Signature:
    """Names and dtypes as they are; the first axis of each is the batch, of any length."""
    return Signature(_specs(inputs), _specs(outputs))


def _specs(tensors: Mapping[str, np.ndarray]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, onnx_name(array.dtype), ("batch", *array.shape[1:])) for name, array in tensors.items()
    )
