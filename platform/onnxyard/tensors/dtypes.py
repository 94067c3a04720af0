"""ONNX element types and the numpy types that hold them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper

from onnxyard.errors import InvalidRequestError

_NUMPY_OF: dict[str, np.dtype] = {
    name: np.dtype(helper.tensor_dtype_to_np_dtype(number))
    for name, number in TensorProto.DataType.items()
    if number not in {TensorProto.UNDEFINED, TensorProto.STRING}
}
_ONNX_OF: dict[np.dtype, str] = {dtype: name for name, dtype in _NUMPY_OF.items()}
_NUMPY_OF["STRING"] = np.dtype(object)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
"""numpy has no bfloat16 of its own; this one comes with onnx."""


def onnx_name(dtype: np.dtype) -> str:
    """The ONNX name of a numpy dtype, as FLOAT for float32; objects and all kinds of numpy strings are STRING.

    Raises:
        InvalidRequestError: ONNX has no such type, as for datetime64.
    """
    if dtype.kind in "OUST":
        return "STRING"
    name = _ONNX_OF.get(dtype.newbyteorder("=") if dtype.kind in "iufc" else dtype)
    if name is None:
        raise InvalidRequestError(
            f"ONNX has no tensor of {dtype}.", remedy=f"Use one of: {', '.join(sorted(_NUMPY_OF))}.", dtype=str(dtype)
        )
    return name


def numpy_dtype(name: str) -> np.dtype:
    """The numpy dtype for an ONNX name; object (holding str) for STRING.

    Raises:
        InvalidRequestError: no element type is called so.
    """
    dtype = _NUMPY_OF.get(name)
    if dtype is None:
        raise InvalidRequestError(
            f"{name!r} is no ONNX element type.", remedy=f"Use one of: {', '.join(sorted(_NUMPY_OF))}."
        )
    return dtype


def is_floating(dtype: np.dtype) -> bool:
    """Whether values of this type can be NaN or infinite (float16, bfloat16, float8 and the like included)."""
    return dtype.kind in "fc" or (dtype.kind == "V" and "float" in dtype.name)
