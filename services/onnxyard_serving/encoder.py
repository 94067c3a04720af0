"""From answers to the bytes of a V2 infer response."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import UnsupportedModelError
from onnxyard.tensors.dtypes import onnx_name
from onnxyard_serving.datatypes import v2_datatype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.lifecycle.signature import Signature, TensorSpec
    from onnxyard_serving.served import ServedVersion

PLATFORM = "onnxruntime_onnx"


def encode(
    served: ServedVersion,
    answers: Mapping[str, np.ndarray],
    *,
    outputs: tuple[str, ...] | None,
    response_id: str,
    request_id: str,
) -> bytes:
    """The response's JSON; its parameters say exactly what answered.

    Args:
        served: The version that answered.
        answers: Its answers by name.
        outputs: The names wanted, in order; None for all.
        response_id: The client's `id`, or the request id where it gave none.
        request_id: Made by the server; the prediction log's key.

    Raises:
        UnsupportedModelError: an answer holds NaN or infinity, which JSON cannot carry.
    """
    names = outputs or [spec.name for spec in served.signature.outputs]
    document = {
        "model_name": served.endpoint,
        "model_version": str(served.version),
        "id": response_id,
        "parameters": {
            "artifact_digest": served.digest,
            "generation": served.generation,
            "request_id": request_id,
            "provider": served.provider,
        },
        "outputs": [_tensor(name, answers[name]) for name in names],
    }
    return json.dumps(document).encode()


def model_metadata(endpoint: str, versions: list[str], signature: Signature) -> dict[str, Any]:
    """V2's model metadata; a dynamic axis is -1."""
    return {
        "name": endpoint,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": [_spec(spec) for spec in signature.inputs],
        "outputs": [_spec(spec) for spec in signature.outputs],
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    shape = [-1 if isinstance(axis, str) else axis for axis in spec.shape]
    return {"name": spec.name, "datatype": v2_datatype(spec.dtype), "shape": shape}


def _tensor(name: str, array: np.ndarray) -> dict[str, Any]:
    datatype = v2_datatype(onnx_name(array.dtype))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UnsupportedModelError(f"The answer {name!r} holds NaN or infinity, which JSON cannot carry.")
    data = array.ravel().tolist()
    if datatype == "BYTES":
        data = [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in data]
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}
