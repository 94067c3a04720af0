"""V2's names of element types and ONNX's. Dtypes carry ONNX names everywhere else; only serving speaks V2's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError

if TYPE_CHECKING:
    from onnxyard.lifecycle.signature import Signature

ONNX_OF = {
    "BOOL": "BOOL",
    "UINT8": "UINT8",
    "UINT16": "UINT16",
    "UINT32": "UINT32",
    "UINT64": "UINT64",
    "INT8": "INT8",
    "INT16": "INT16",
    "INT32": "INT32",
    "INT64": "INT64",
    "FP16": "FLOAT16",
    "FP32": "FLOAT",
    "FP64": "DOUBLE",
    "BYTES": "STRING",
}
V2_OF = {onnx: v2 for v2, onnx in ONNX_OF.items()}


def v2_datatype(onnx_name: str) -> str:
    """V2's name. Raises UnsupportedModelError where V2 has none, as for BFLOAT16 in JSON."""
    if onnx_name not in V2_OF:
        raise UnsupportedModelError(f"The Open Inference Protocol has no datatype for {onnx_name}.")
    return V2_OF[onnx_name]


def check_servable(signature: Signature) -> None:
    """Refuse, before a swap, a signature that could not be spoken. Raises UnsupportedModelError."""
    for spec in (*signature.inputs, *signature.outputs):
        v2_datatype(spec.dtype)
