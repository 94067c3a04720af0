"""Between numpy and torch; bfloat16, which numpy borrows from ml_dtypes, goes by its bits."""

from __future__ import annotations

import numpy as np
import torch

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.tensors.dtypes import BFLOAT16


def to_torch(name: str, array: np.ndarray) -> torch.Tensor:
    """A tensor of the same shape and dtype; it may share memory with the array.

    Raises:
        InvalidRequestError: torch has no such dtype, as for strings.
    """
    values = np.ascontiguousarray(array).reshape(array.shape)
    # Torch warns about read-only memory, which it cannot mark as such.
    values = values if values.flags.writeable else values.copy()
    if values.dtype == BFLOAT16:
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    try:
        return torch.from_numpy(values)
    except TypeError as error:
        raise InvalidRequestError(
            f"The input {name!r} is {array.dtype}, which torch cannot take.",
            remedy="Turn it into numbers in preprocess.",
        ) from error


def to_numpy(name: str, tensor: torch.Tensor) -> np.ndarray:
    """An array of the same shape and values; bfloat16 stays what it is.

    Raises:
        UnsupportedModelError: numpy has no such dtype, as for float8.
    """
    plain = tensor.detach().cpu()
    if plain.dtype == torch.bfloat16:
        return plain.contiguous().view(torch.int16).numpy().view(BFLOAT16)
    try:
        return plain.numpy()
    except TypeError as error:
        raise UnsupportedModelError(f"The output {name!r} is {plain.dtype}, which numpy cannot hold.") from error
