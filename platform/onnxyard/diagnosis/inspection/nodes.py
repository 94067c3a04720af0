"""Nodes that compute for nobody, that behave as in training, or that draw random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from onnxyard.diagnosis.codes import TRAINING_MODE, UNSEEDED_RANDOMNESS
from onnxyard.diagnosis.file_codes import DEAD_NODES, FOREIGN_NOTES
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.admission.graphs import every_graph, every_node, place
from onnxyard.sources.admission.origins import origin_of
from onnxyard.sources.admission.refusal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.inspection.subject import Subject
    from onnxyard.lifecycle.finding import Finding

FOREIGN = ("pkg.", "namespace")
"""Keys under which torch and onnxscript leave notes."""
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
_STANDARD = frozenset({"", "ai.onnx"})


def dead(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes of one graph whose results reach none of its outputs."""
    live = {output.name for output in graph.output}
    found = []
    for node in reversed(graph.node):  # nodes are sorted: whoever takes a tensor comes after whoever gives it
        if live.isdisjoint(filter(None, node.output)):
            found.append(node)
            continue
        live.update(node.input)
        for attribute in node.attribute:  # inner graphs see the names of the outer one
            for inner in (attribute.g, *attribute.graphs):
                live.update(name for each in all_nodes(inner) for name in each.input)
                live.update(output.name for output in inner.output)
    return found


def dead_nodes(subject: Subject) -> Iterator[Finding]:
    """One finding for all of them."""
    found = [node for graph in every_graph(subject.model) for node in dead(graph) if any(node.output)]
    if found:
        listed = ", ".join(printable(place(node)) for node in found[:5]) + (", ..." if len(found) > 5 else "")
        module, source = origin_of(found[0])
        yield DEAD_NODES.found(
            f"{len(found)} of {len(list(every_node(subject.model)))} nodes reach no output: {listed}.",
            module=module,
            source=source,
            node=printable(place(found[0])),
            fix=DEAD_NODES.name,
        )


def training_mode(subject: Subject) -> Iterator[Finding]:
    """Dropout and batch normalization that do what they do in training."""
    true = true_constants(subject.model)
    for node in every_node(subject.model):
        if trains(node, true):
            module, source = origin_of(node)
            yield TRAINING_MODE.found(
                f"{printable(place(node))} is in training mode.",
                module=module,
                source=source,
                node=printable(place(node)),
                remedy="Export the model after model.eval(), or let --fix set the node to inference.",
                fix=TRAINING_MODE.name,
            )


def trains(node: onnx.NodeProto, true: frozenset[str]) -> bool:
    """Whether a node is Dropout or BatchNormalization in training mode, as their opsets (12, 14) define it."""
    if node.domain not in _STANDARD:
        return False
    if node.op_type == "Dropout":
        return len(node.input) > 2 and node.input[2] in true
    if node.op_type == "BatchNormalization":
        return any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)
    return False


def true_constants(model: onnx.ModelProto) -> frozenset[str]:
    """Names of constants that are true."""
    tensors = {tensor.name: tensor for graph in every_graph(model) for tensor in graph.initializer}
    for node in every_node(model):
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                tensors[node.output[0]] = attribute.t
    return frozenset(
        name
        for name, tensor in tensors.items()
        if tensor.data_type == onnx.TensorProto.BOOL and numpy_helper.to_array(tensor).any()
    )


def moves_by_itself(model: onnx.ModelProto) -> bool:
    """Whether two runs may differ by themselves: random numbers, with a seed or not, or a node in training mode."""
    true = true_constants(model)
    return any(
        trains(node, true) or (node.op_type in _RANDOM and node.domain in _STANDARD) for node in every_node(model)
    )


def unseeded_randomness(subject: Subject) -> Iterator[Finding]:
    """Nodes that draw without a seed."""
    for node in every_node(subject.model):
        seeded = any(attribute.name == "seed" for attribute in node.attribute)
        if node.op_type in _RANDOM and node.domain in _STANDARD and not seeded:
            module, source = origin_of(node)
            yield UNSEEDED_RANDOMNESS.found(
                f"{printable(place(node))} draws random numbers without a seed.",
                module=module,
                source=source,
                node=printable(place(node)),
            )


def foreign_notes(subject: Subject) -> Iterator[Finding]:
    """Notes of torch's exporter, which name folders of the machine it ran on."""
    noted = [
        node
        for node in every_node(subject.model)
        if any(entry.key.startswith(FOREIGN) for entry in node.metadata_props) or node.doc_string
    ]
    if noted:
        yield FOREIGN_NOTES.found(
            f"{len(noted)} nodes carry an exporter's notes.", node=printable(place(noted[0])), fix=FOREIGN_NOTES.name
        )
