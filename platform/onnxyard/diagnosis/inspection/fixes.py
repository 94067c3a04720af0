"""Remedies for a ready .onnx file that leave its answers as they are: each changes a model in memory.

Nobody takes one on trust: `onnxyard.diagnosis.inspection.fixing_child` proves it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper, numpy_helper

from onnxyard.diagnosis.codes import TRAINING_MODE, UNSUPPORTED_OUTPUT
from onnxyard.diagnosis.file_codes import (
    ABOVE_CEILING,
    DEAD_NODES,
    DEAD_WEIGHTS,
    DUPLICATE_WEIGHTS,
    FOREIGN_NOTES,
)
from onnxyard.diagnosis.inspection.nodes import dead, trains, true_constants
from onnxyard.diagnosis.inspection.weights import TWICE_BYTES, content
from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.runtimes.releases import release_named
from onnxyard.sources.admission.graphs import every_graph, every_node, place
from onnxyard.sources.admission.origins import origin_of
from onnxyard.sources.ir_version import needed
from onnxyard.sources.sidecar import Origin, scrub

if TYPE_CHECKING:
    from collections.abc import Callable


def remove_dead_weights(model: onnx.ModelProto) -> None:
    """Drop initializers that no node takes and no graph gives."""
    used = {name for node in every_node(model) for name in node.input}
    used |= {output.name for graph in every_graph(model) for output in graph.output}
    for graph in list(every_graph(model)):
        unused = {tensor.name for tensor in graph.initializer} - used
        _drop(graph.initializer, [tensor.name in unused for tensor in graph.initializer])
        _drop(graph.input, [value.name in unused for value in graph.input])


def remove_dead_nodes(model: onnx.ModelProto) -> None:
    """Drop nodes that reach no output; with inner graphs, those of them first."""
    for graph in reversed(list(every_graph(model))):
        nobodys = {name for node in dead(graph) for name in node.output if name}
        _drop(graph.node, [not nobodys.isdisjoint(node.output) for node in graph.node])


def merge_duplicate_weights(model: onnx.ModelProto) -> None:
    """Let every use of equal initializers of the graph take the first of them."""
    kept: dict[object, str] = {}
    renamed: dict[str, str] = {}
    outputs = {output.name for output in model.graph.output}
    inputs = {value.name for value in model.graph.input}  # a caller may give these another value
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.STRING or tensor.name in outputs | inputs:
            continue
        values = numpy_helper.to_array(tensor)
        if values.nbytes >= TWICE_BYTES and (first := kept.setdefault(content(values), tensor.name)) != tensor.name:
            renamed[tensor.name] = first
    for node in all_nodes(model.graph):
        for at, name in enumerate(node.input):
            node.input[at] = renamed.get(name, name)
    _drop(model.graph.initializer, [tensor.name in renamed for tensor in model.graph.initializer])


def lower_ir_version(model: onnx.ModelProto, ceiling: str) -> None:
    """Write the highest IR version that an ONNX Runtime release loads.

    Raises:
        UnsupportedModelError: something in the file needs a newer one.
    """
    limit = release_named(ceiling).ir_version
    lowest, why = needed(model)
    if lowest > limit:
        raise UnsupportedModelError(f"IR version {lowest} is needed for {why}.")
    model.ir_version = min(model.ir_version, limit)


def drop_notes(model: onnx.ModelProto) -> None:
    """Replace the exporter's notes by module path and source line, without folders of this or another machine."""
    origins: dict[str, Origin] = {}
    for node in all_nodes(model.graph):
        module, source = origin_of(node)
        file, _, line = source.rpartition(":")
        named = f"{file.replace(chr(92), '/').rpartition('/')[2]}:{line}" if source else ""
        if module or source:
            origins |= {name: Origin(module, "", named) for name in node.output if name}
    scrub(model, origins)


def strip_zipmap(model: onnx.ModelProto) -> None:
    """Give the probabilities as they are, one column per class in ZipMap's order, instead of one map per row."""
    outputs = {output.name: output for output in model.graph.output}
    labels = zipmap_labels(model)
    for node in model.graph.node:
        if node.op_type == "ZipMap" and node.output[0] in labels:
            output = outputs[node.output[0]]
            shape = [_batch(model), len(labels[output.name])]
            output.CopyFrom(helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, shape))
            node.CopyFrom(helper.make_node("Identity", list(node.input), list(node.output), node.name))


def zipmap_labels(model: onnx.ModelProto) -> dict[str, list[str | int]]:
    """The labels of each output that ZipMap gives, in the order of the probabilities: a map is sorted otherwise."""
    outputs = {output.name for output in model.graph.output}
    return {
        node.output[0]: [text.decode() for text in attribute.strings] or list(attribute.ints)
        for node in model.graph.node
        if node.op_type == "ZipMap" and node.output[0] in outputs
        for attribute in node.attribute
        if attribute.name in {"classlabels_strings", "classlabels_int64s"}
    }


def set_inference_mode(model: onnx.ModelProto) -> None:
    """Let Dropout and BatchNormalization do what they do in inference.

    Raises:
        UnsupportedModelError: somebody takes the statistics that a node gives in training mode only.
    """
    true = true_constants(model)
    taken = {name for node in every_node(model) for name in node.input}
    taken |= {output.name for graph in every_graph(model) for output in graph.output}
    for node in every_node(model):
        if not trains(node, true):
            continue
        if node.op_type == "Dropout":
            del node.input[1:]
            continue
        if taken & set(filter(None, node.output[1:])):
            raise UnsupportedModelError(f"The running statistics of {place(node)} are used.")
        del node.output[1:]
        _drop(node.attribute, [attribute.name == "training_mode" for attribute in node.attribute])
    remove_dead_weights(model)  # the ratios and switches


FIXES: dict[str, Callable[[onnx.ModelProto], None]] = {
    UNSUPPORTED_OUTPUT.name: strip_zipmap,
    TRAINING_MODE.name: set_inference_mode,
    DEAD_NODES.name: remove_dead_nodes,
    DEAD_WEIGHTS.name: remove_dead_weights,
    DUPLICATE_WEIGHTS.name: merge_duplicate_weights,
    FOREIGN_NOTES.name: drop_notes,
}
"""The remedy of each code, in the order in which they are applied."""


def fix_of(code: str, ceiling: str | None) -> Callable[[onnx.ModelProto], None]:
    """The remedy of a code; that of `above-ceiling` for the release that is named.

    Raises:
        InvalidRequestError: there is none.
    """
    if code == ABOVE_CEILING.name and ceiling is not None:
        return partial(lower_ir_version, ceiling=ceiling)
    if code not in FIXES:
        raise InvalidRequestError(
            f"No remedy for {code!r} can be applied to a file.",
            remedy=f"There is one for {', '.join([*FIXES, ABOVE_CEILING.name])}.",
        )
    return FIXES[code]


def _drop(repeated: Any, marks: list[bool]) -> None:  # noqa: ANN401 - protobuf ships no types
    """Delete the marked members of a repeated field, from the end, so that positions stay what they are."""
    for at in reversed(range(len(marks))):
        if marks[at]:
            del repeated[at]


def _batch(model: onnx.ModelProto) -> int | str | None:
    axes = model.graph.input[0].type.tensor_type.shape.dim
    return (axes[0].dim_param or axes[0].dim_value or None) if axes else None
