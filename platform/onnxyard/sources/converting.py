"""From one opset to another, in two ways. What comes out is claimed, not proven: check it."""

from __future__ import annotations

import re

import onnx
from onnx import helper, version_converter

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.ir_version import needed

CONVERTER = f"onnx version converter {onnx.__version__}"
_NEW = re.compile(r"No Previous Version of (?P<operator>\w+) exists")
_CHANGED = re.compile(r"No Adapter From Version \$(?P<version>\d+) for (?P<operator>\w+)")
_LARGEST = (1 << 31) - (1 << 24)
"""The converter takes serialized bytes, and a protobuf message ends at 2 GiB."""


def convert(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model at another opset of the default domain, with the IR version of that opset's time that can hold it.

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
    converted.ir_version = _ir_version(converted)
    return converted


def relabel(model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The same nodes, read as another opset's operators, where each of them has this form there too.

    Most new versions of an operator only admit more types. Where one means something else under the same form, only a
    comparison of answers shows it.

    Returns:
        The model, and the operators that are read in another version than before, sorted.

    Raises:
        UnsupportedModelError: naming an operator that does not exist there, or an attribute it does not have there.
    """
    before = _opset(model)
    changed = set()
    for node in all_nodes(model.graph):
        if node.domain not in {"", "ai.onnx"}:
            continue
        try:
            schema = onnx.defs.get_schema(node.op_type, opset, "")
        except onnx.defs.SchemaError as error:
            raise UnsupportedModelError(f"{node.op_type} does not exist in opset {opset}.") from error
        unknown = sorted({attribute.name for attribute in node.attribute} - schema.attributes.keys())
        if unknown:
            raise UnsupportedModelError(f"{node.op_type} has no attribute {unknown[0]!r} in opset {opset}.")
        if schema.since_version != onnx.defs.get_schema(node.op_type, before, "").since_version:
            changed.add(node.op_type)
    labelled = onnx.ModelProto()
    labelled.CopyFrom(model)
    for entry in labelled.opset_import:
        if entry.domain in {"", "ai.onnx"}:
            entry.version = opset
    labelled.ir_version = _ir_version(labelled)
    return labelled, tuple(sorted(changed))


def _opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)


def _ir_version(model: onnx.ModelProto) -> int:
    """That of the opset's time, or a newer one where something in the model needs it (before 4: weights as inputs)."""
    of_its_time = helper.find_min_ir_version_for(list(model.opset_import))
    return max(min(model.ir_version, of_its_time), needed(model)[0])


def _reason(error: Exception) -> str:
    """What the converter says, without the path in its own sources."""
    said = str(error).strip() or type(error).__name__
    if match := _NEW.search(said):
        return f"{match['operator']} is newer than that."
    if match := _CHANGED.search(said):
        return f"{match['operator']} changed in opset {match['version']}, and it knows no way back."
    return said.splitlines()[0].rpartition("adapt: ")[2].rpartition("adapter_lookup: ")[2]
