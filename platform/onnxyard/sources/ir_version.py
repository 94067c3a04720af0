"""The IR version: the file format's own number, lowered where nothing in the file needs the newer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.saving import save_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TYPES: dict[int, int] = {
    TensorProto.BFLOAT16: 4,
    **dict.fromkeys(
        (TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ), 9
    ),
    TensorProto.UINT4: 10,
    TensorProto.INT4: 10,
    TensorProto.FLOAT4E2M1: 11,
    TensorProto.FLOAT8E8M0: 12,
    TensorProto.UINT2: 13,
    TensorProto.INT2: 13,
    TensorProto.FLOAT6E2M3: 14,
    TensorProto.FLOAT6E3M2: 14,
}
"""The IR version that brought each newer element type (the comments of `Version` in onnx.proto)."""
_INITIALIZERS_ARE_NO_INPUTS = 4
_FUNCTIONS = 8
_OLDEST = 3


def needed(model: onnx.ModelProto) -> tuple[int, str]:
    """The lowest IR version that can hold the model, and what in it needs that one (empty where nothing does).

    After "Versioning" of ONNX and the comments of `Version` in onnx.proto. Notes in `metadata_props` need none: a
    reader that does not know them passes over them.
    """
    inputs = {value.name for value in model.graph.input}
    found = [(_OLDEST, "")]
    if any(tensor.name not in inputs for tensor in model.graph.initializer):
        found.append((_INITIALIZERS_ARE_NO_INPUTS, "weights that are not inputs"))
    if model.functions:
        found.append((_FUNCTIONS, "functions of its own"))
    found += [
        (_TYPES.get(kind, _OLDEST), f"{TensorProto.DataType.Name(kind)} tensors")
        for kind in _element_types(model.graph)
    ]
    return max(found, key=lambda one: one[0])


def lower(model_file: Path, limit: int) -> None:
    """Write an IR version of at most `limit` into the file, which keeps a lower one.

    Raises:
        UnsupportedModelError: something in the model needs a newer IR version.
    """
    model = onnx.load(model_file, load_external_data=False)
    if model.ir_version <= limit:
        return
    lowest, why = needed(model)
    if lowest > limit:
        raise UnsupportedModelError(
            f"The model needs IR version {lowest} for its {why}; {limit} is the highest that every target loads.",
            where="[targets]",
            remedy="Raise the target's onnxruntime, or keep such tensors out of the model.",
        )
    model.ir_version = limit
    save_model(model, model_file)


def _element_types(graph: onnx.GraphProto) -> Iterator[int]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.HasField("tensor_type"):
            yield value.type.tensor_type.elem_type
    yield from (tensor.data_type for tensor in graph.initializer)
    for node in all_nodes(graph):
        yield from (attribute.t.data_type for attribute in node.attribute if attribute.HasField("t"))
        yield from (attribute.i for attribute in node.attribute if node.op_type == "Cast" and attribute.name == "to")
