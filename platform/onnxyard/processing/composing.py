"""One graph from three parts: the steps before a model, the model, the steps behind it; and back into its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import onnx
from onnx import compose, helper

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.processing.chain import Chain
from onnxyard.processing.flow import BACK, FRONT, MODEL, OLDEST_OPSET, Flow, boundary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnxyard.lifecycle.signature import TensorSpec
    from onnxyard.processing.step import Step

_STEP = re.compile(rf"({FRONT}|{BACK})/\d+\.")


@dataclass(frozen=True, slots=True)
class Front:
    """The steps before a model as a graph of their own.

    Attributes:
        model: Takes the raw inputs; gives `preprocess/NAME` for each model input and carried tensor.
        carried: What goes past the model to the steps behind it, by its name there.
    """

    model: onnx.ModelProto
    carried: Mapping[str, Flow]


def front(steps: Sequence[Step], raw: Sequence[TensorSpec], *, opset: int, root: Path) -> Front:
    """Build the steps before a model.

    Args:
        steps: `[[preprocess]]`.
        raw: The raw inputs.
        opset: Exactly this one.
        root: The project's folder.

    Raises:
        UnsupportedModelError: the opset is too old for any step.
        UserCodeError: a step's input is missing or not what it takes, or a file it names is not what it should be.
    """
    _check_opset(opset)
    chain = Chain(FRONT, opset, root, {spec.name: Flow(spec.name, spec.dtype, spec.shape) for spec in raw})
    _run(steps, chain)
    model = chain.model()
    carried = {n: Flow(boundary(FRONT, n), flow.dtype, flow.shape) for n, flow in chain.carried.items()}
    return Front(model, carried)


def back(
    steps: Sequence[Step], outputs: Sequence[TensorSpec], carried: Mapping[str, Flow], *, opset: int, root: Path
) -> onnx.ModelProto:
    """Build the steps behind a model; they take `model/NAME` and what was carried. All else as for `front`."""
    _check_opset(opset)
    flows = {spec.name: Flow(boundary(MODEL, spec.name), spec.dtype, spec.shape) for spec in outputs}
    chain = Chain(BACK, opset, root, flows, carried)
    _run(steps, chain)
    return chain.model()


def _run(steps: Sequence[Step], chain: Chain) -> None:
    for number, step in enumerate(steps):
        with chain.step(number, str(getattr(step, "step", ""))):
            step.build(chain)


def _check_opset(opset: int) -> None:
    if opset < OLDEST_OPSET:
        raise UnsupportedModelError(
            f"The steps of [[{FRONT}]] and [[{BACK}]] need opset {OLDEST_OPSET} or newer, not {opset}.",
            where="[export] opset",
            remedy="Ask for a newer opset, or do them in Python ([project] processing).",
        )


def framed(core: onnx.ModelProto, before: onnx.ModelProto | None, behind: onnx.ModelProto | None) -> onnx.ModelProto:
    """Put steps around a model, in one graph.

    The model keeps its inner names; where it meets a step, its inputs become `preprocess/NAME` and its outputs
    `model/NAME`.

    Args:
        core: The model; changed in place.
        before: `front(...).model`.
        behind: `back(...)`.

    Raises:
        InvalidRequestError: the steps do not give what the model takes, or a raw input is called as a tensor inside it.
    """
    if before is not None:
        core = _renamed(core, inputs=boundary(FRONT, ""))
    if behind is not None:
        core = _renamed(core, outputs=boundary(MODEL, ""))
    return _joined([part for part in (before, core, behind) if part is not None])


def _renamed(model: onnx.ModelProto, *, inputs: str = "", outputs: str = "") -> onnx.ModelProto:
    return compose.add_prefix(
        model,
        inputs or outputs,
        rename_nodes=False,
        rename_edges=False,
        rename_inputs=bool(inputs),
        rename_outputs=bool(outputs),
        rename_initializers=False,
        rename_value_infos=False,
        rename_functions=False,
        inplace=True,
    )


def _joined(parts: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """The parts in one graph; what a part takes by a name that a part before it gives is that.

    Raises:
        InvalidRequestError: a name stands for two tensors, or for something nobody gives.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(parts[0])
    del whole.graph.output[:]
    largest = max(parts, key=lambda part: len(part.graph.node))  # the model itself, in all but toy cases
    whole.graph.name = largest.graph.name
    whole.ir_version = max(part.ir_version for part in parts)
    given = set(_names(parts[0].graph))
    for earlier, part in pairwise(parts):
        taken = {value.name for value in part.graph.input} - {tensor.name for tensor in part.graph.initializer}
        missing, twice = sorted(taken - given), sorted(given & (set(_names(part.graph)) - taken))
        if missing:
            have = ", ".join(value.name for value in earlier.graph.output)
            raise InvalidRequestError(
                f"Nothing gives {missing[0]!r}; there is {have}.", where=f"[[{FRONT}]], [[{BACK}]]"
            )
        if twice:
            raise InvalidRequestError(
                f"The name {twice[0]!r} stands for a raw input and for a tensor inside the model.",
                remedy="Give the raw input another name.",
            )
        given |= set(_names(part.graph))
        # The boundary's types stay known: they are what the graph is taken apart by.
        whole.graph.value_info.extend(earlier.graph.output)
        whole.graph.value_info.extend(part.graph.value_info)
        whole.graph.node.extend(part.graph.node)
        whole.graph.initializer.extend(part.graph.initializer)
        whole.graph.sparse_initializer.extend(part.graph.sparse_initializer)
        whole.functions.extend(part.functions)
        known = {entry.domain for entry in whole.opset_import}
        whole.opset_import.extend(entry for entry in part.opset_import if entry.domain not in known)
        whole.metadata_props.extend(part.metadata_props)
    whole.graph.output.extend(parts[-1].graph.output)
    return whole


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (name for node in graph.node for name in node.output if name)


def is_step(name: str) -> bool:
    """Whether a node of this name is part of a step; one that quantizes `preprocess/pixels` belongs to the model."""
    return _STEP.match(name) is not None


@dataclass(frozen=True, slots=True)
class Parts:
    """A graph taken apart again.

    Attributes:
        before: The steps before the model; None where there are none.
        core: The model itself.
        behind: The steps behind it; None where there are none.
    """

    before: onnx.ModelProto | None
    core: onnx.ModelProto
    behind: onnx.ModelProto | None

    def with_core(self, core: onnx.ModelProto) -> onnx.ModelProto:
        """The same steps around another form of the model, whose inputs and outputs are called alike."""
        return _joined([part for part in (self.before, core, self.behind) if part is not None])


def parts_of(model: onnx.ModelProto) -> Parts | None:
    """Take a graph that `framed` made apart; None for one that has no steps."""
    nodes = model.graph.node
    sides = {side: [n for n in nodes if is_step(n.name) and n.name.startswith(side)] for side in (FRONT, BACK)}
    core = [node for node in nodes if not is_step(node.name)]
    if len(core) == len(nodes):
        return None
    before = _part(model, sides[FRONT], [*core, *sides[BACK]]) if sides[FRONT] else None
    behind = _part(model, sides[BACK], []) if sides[BACK] else None
    return Parts(before, _part(model, core, sides[BACK]), behind)


def has_steps(model_file: Path) -> bool:
    """Whether the graph in this file holds steps."""
    return any(is_step(node.name) for node in onnx.load(model_file, load_external_data=False).graph.node)


def model_alone(whole: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model between the steps, its inputs and outputs called as before; None for a graph that has no steps."""
    parts = parts_of(whole)
    if parts is None:
        return None
    core = parts.core
    plain = {value.name: value.name.removeprefix(boundary(FRONT, "")) for value in core.graph.input}
    plain |= {value.name: value.name.removeprefix(boundary(MODEL, "")) for value in core.graph.output}
    _rename(core.graph, plain)
    return core


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, names)


def _part(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], later: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """The nodes as a model: what they take from outside, and what later nodes or clients take of them."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    given = [name for node in nodes for name in node.output if name]
    taken = {name for node in nodes for name in _reads(node)}
    wanted = {name for node in later for name in _reads(node)} | {value.name for value in graph.output}
    values = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    part = onnx.ModelProto()
    part.CopyFrom(model)
    inside = set(given)
    inputs = [name for name in values if name in taken and name not in inside and name not in constants]
    made = helper.make_graph(
        nodes,
        graph.name,
        [values[name] for name in inputs],
        [values[name] for name in dict.fromkeys(given) if name in wanted],
        [constants[name] for name in constants if name in taken],
        value_info=[value for value in graph.value_info if value.name in inside],
    )
    part.graph.CopyFrom(made)
    return part


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, the graphs in its attributes included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            yield from (name for each in inner.node for name in _reads(each))
            yield from (value.name for value in inner.output)
