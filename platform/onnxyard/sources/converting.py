"""From one opset to another by ONNX's own version converter. What comes out is claimed, not proven: check it."""

from __future__ import annotations

import re

import onnx
from onnx import helper, version_converter

from onnxyard.errors import UnsupportedModelError

CONVERTER = f"onnx version converter {onnx.__version__}"
_NEW = re.compile(r"No Previous Version of (?P<operator>\w+) exists")
_CHANGED = re.compile(r"No Adapter From Version \$(?P<version>\d+) for (?P<operator>\w+)")
_LARGEST = (1 << 31) - (1 << 24)
"""The converter takes serialized bytes, and a protobuf message ends at 2 GiB."""


def convert(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model at another opset of the default domain, with the IR version that came with that opset.

    Tensors keep their names; the notes at nodes (`metadata_props`) are lost.

    Raises:
        UnsupportedModelError: there is no way there, naming the converter's reason; the model is too large for it; or
            it came back with another opset.
    """
    if model.ByteSize() >= _LARGEST or any(tensor.external_data for tensor in model.graph.initializer):
        raise UnsupportedModelError("The model is too large for ONNX's version converter, which takes less than 2 GiB.")
    try:
        converted = version_converter.convert_version(model, opset)
    except (RuntimeError, ValueError, version_converter.ConvertError) as error:
        raise UnsupportedModelError(
            f"No way from opset {_opset(model)} to {opset} by ONNX's version converter: {_reason(error)}",
            remedy="Export from the framework at this opset, or take the nearest one that works.",
        ) from error
    if (given := _opset(converted)) != opset:
        raise UnsupportedModelError(f"ONNX's version converter gave opset {given} instead of {opset}.")
    converted.ir_version = min(converted.ir_version, helper.find_min_ir_version_for(list(converted.opset_import)))
    return converted


def _opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)


def _reason(error: Exception) -> str:
    """What the converter says, without the path in its own sources."""
    said = str(error).strip() or type(error).__name__
    if match := _NEW.search(said):
        return f"{match['operator']} is newer than that."
    if match := _CHANGED.search(said):
        return f"{match['operator']} changed in opset {match['version']}, and it knows no way back."
    return said.splitlines()[0].rpartition("adapt: ")[2].rpartition("adapter_lookup: ")[2]
