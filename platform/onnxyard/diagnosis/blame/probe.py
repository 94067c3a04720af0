"""An ONNX graph under the probe: every tensor readable, any tensor replaceable.

A copy of the graph gets its inner tensors as outputs. A tensor that is replaced becomes an input of the copy, under
its own name, so that all its readers (those inside If and Loop bodies too) read the given value; what its node makes
of its own inputs comes out under another name. ONNX Runtime's optimizations are off: every tensor survives.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FATAL = 4
_APART_FROM = 64 << 20
"""Weights from this size on are written once and shared by all copies, instead of travelling in each of them."""
_OWN = ".own"
"""Behind the name of a replaced tensor: what its node makes of its own inputs."""
_FAILED_NODE = re.compile(r"Name:'(?P<name>[^']*)'")
_UNREADABLE = {onnx.TensorProto.BFLOAT16, *range(onnx.TensorProto.FLOAT8E4M3FN, onnx.TensorProto.INT4 + 1)}
"""Element types that ONNX Runtime's Python API gives no array for."""


class NodeFailedError(UnsupportedModelError):
    """A node cannot run on what it was given; `facts["node"]` names it where ONNX Runtime does."""

    code = "node-failed"
    title = "A node failed"


class Probe:
    """A graph that can be run in parts. Made by `probing`.

    Attributes:
        model: The model, with its weights.
        nodes: The main graph's nodes, in order.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        tensors: Every tensor that a node makes and that can be read, in order.
        producers: The node that makes each of them.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        graph = model.graph
        self.model = model
        self.nodes = list(graph.node)
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer}
        constants = self._weights.keys() | self._sparse.keys()
        self._inputs = {value.name: value for value in graph.input if value.name not in constants}
        self.inputs = tuple(self._inputs)
        self.outputs = tuple(value.name for value in graph.output)
        self._declared = {value.name: value for value in graph.output}
        self.producers = {name: node for node in self.nodes for name in node.output if name}
        self._reads = {id(node): reads(node) for node in self.nodes}
        types = _types(model)
        self.tensors = tuple(name for name in self.producers if types.get(name) not in _UNREADABLE)
        self._folder = folder if _weigh(model) >= _APART_FROM else None
        if self._folder is not None:
            self._put_weights_apart()

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        wanted: Iterable[str],
        given: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """The wanted tensors; of a replaced one, what its node makes of its own inputs.

        Args:
            inputs: The graph's inputs by name.
            wanted: Names among `tensors` or `outputs`. One that is no plain tensor (a sequence) is left out.
            given: Tensors to replace, with their values.

        Raises:
            NodeFailedError: a node cannot run on these values.
            UnsupportedModelError: ONNX Runtime cannot load the graph.
        """
        targets = tuple(wanted)
        if not targets:
            return {}
        session = self.open(targets, {name: array.dtype for name, array in (given or {}).items()})
        return session({**inputs, **(given or {})})

    def open(self, wanted: tuple[str, ...], given: Mapping[str, np.dtype]) -> Session:
        """As `run`, ready for many batches."""
        targets = {name: f"{name}{_OWN}" if name in given else name for name in wanted}
        nodes = self._needed(set(targets.values()), given)
        read = {name for node in nodes for name in reads(node)} | set(targets.values())
        graph = onnx.GraphProto(name="probe")
        graph.node.extend(nodes)
        graph.initializer.extend(self._weights[name] for name in self._weights.keys() & read)
        graph.sparse_initializer.extend(self._sparse[name] for name in self._sparse.keys() & read)
        graph.input.extend(value for name, value in self._inputs.items() if name in read)
        graph.input.extend(_value(name, dtype) for name, dtype in given.items() if name in read)
        made = {name for node in nodes for name in node.output} | {value.name for value in graph.input}
        made |= {tensor.name for tensor in graph.initializer}
        graph.output.extend(
            self._declared.get(name, onnx.ValueInfoProto(name=name)) for name in targets.values() if name in made
        )
        model = onnx.ModelProto(ir_version=self.model.ir_version, graph=graph)
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        fed = {value.name for value in graph.input}
        return Session(
            _session(model, self._folder), {name: into for name, into in targets.items() if into in made}, fed
        )

    def reads_of(self, tensor: str) -> list[str]:
        """What the node that makes a tensor reads."""
        return self._reads[id(self.producers[tensor])]

    def descendants(self, node_name: str) -> set[str]:
        """All tensors that depend on the node of this name."""
        found: set[str] = set()
        for node in self.nodes:
            if node.name == node_name or not found.isdisjoint(self._reads[id(node)]):
                found.update(name for name in node.output if name)
        return found

    def span(self, tensor: str, known: set[str]) -> tuple[list[onnx.NodeProto], set[str]]:
        """The nodes between a tensor and the nearest known ones before it, in order, and those known ones.

        Args:
            tensor: A tensor that a node makes.
            known: Names of tensors at which to stop; the graph's inputs are known by themselves.
        """
        found: set[int] = set()
        frontier: set[str] = set()
        waiting = [tensor]
        while waiting:
            node = self.producers[waiting.pop()]
            if id(node) in found:
                continue
            found.add(id(node))
            for name in self._reads[id(node)]:
                if name in known or name in self._inputs:
                    frontier.add(name)
                elif name in self.producers:
                    waiting.append(name)
        return [node for node in self.nodes if id(node) in found], frontier

    def _needed(self, wanted: set[str], given: Mapping[str, object]) -> list[onnx.NodeProto]:
        """The nodes that the wanted tensors depend on, a replaced tensor's own name taken from its node."""
        needed, kept = set(wanted), []
        for node in reversed(self.nodes):
            renamed = [f"{name}{_OWN}" if name in given else name for name in node.output]
            if needed.isdisjoint(name for name in renamed if name):
                continue
            needed.update(self._reads[id(node)])
            if renamed != list(node.output):
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                copy.output[:] = renamed
                kept.append(copy)
            else:
                kept.append(node)
        return kept[::-1]

    def _put_weights_apart(self) -> None:
        assert self._folder is not None  # noqa: S101 - asked for by the caller
        apart = onnx.ModelProto()
        apart.CopyFrom(self.model)
        onnx.save_model(apart, self._folder / "whole.onnx", save_as_external_data=True, location="weights")
        self._weights = {tensor.name: tensor for tensor in apart.graph.initializer}


class Session:
    """One copy of the graph, loaded."""

    def __init__(self, session: ort.InferenceSession, targets: Mapping[str, str], fed: set[str]) -> None:
        self._session = session
        self._targets = targets
        self._fed = fed

    def __call__(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The wanted tensors for these values. Raises NodeFailedError."""
        feed = {name: np.ascontiguousarray(array) for name, array in values.items() if name in self._fed}
        try:
            answer = self._session.run(list(self._targets.values()), feed)
        except (
            ort_errors.Fail,
            ort_errors.InvalidArgument,
            ort_errors.NotImplemented,
            ort_errors.RuntimeException,
        ) as error:
            told = _FAILED_NODE.search(str(error))
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise NodeFailedError(
                f"ONNX Runtime cannot run a node: {lines[0].split(' : ', 3)[-1]}", node=told["name"] if told else ""
            ) from error
        named = zip(self._targets, answer, strict=True)
        return {name: array for name, array in named if isinstance(array, np.ndarray)}


@contextmanager
def probing(model: onnx.ModelProto | Path) -> Iterator[Probe]:
    """A probe over a model in memory, or in a file that may be trusted (external data is read from beside it)."""
    own = onnx.ModelProto()
    own.CopyFrom(onnx.load(model) if isinstance(model, Path) else model)
    for at, node in enumerate(own.graph.node):
        node.name = node.name or f"{node.op_type}_{at}"  # so that a node that fails can be told
    with TemporaryDirectory(prefix="onnxyard-probe-") as folder:
        yield Probe(own, Path(folder))


def reads(node: onnx.NodeProto) -> list[str]:
    """All names that a node reads, those that the graphs in its attributes take from outside included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            made = {value.name for value in inner.input} | {tensor.name for tensor in inner.initializer}
            for each in inner.node:
                names += [name for name in reads(each) if name not in made]
                made.update(each.output)
            names += [value.name for value in inner.output if value.name not in made]
    return names


def check_inputs(probe: Probe, inputs: Mapping[str, np.ndarray]) -> None:
    """The graph takes exactly these inputs. Raises InvalidRequestError."""
    if sorted(probe.inputs) != sorted(inputs):
        raise InvalidRequestError(
            f"The graph takes {', '.join(probe.inputs)}; the inputs at hand are {', '.join(inputs)}.",
            remedy="Both sides must take the same inputs under the same names.",
        )
    for value in probe.model.graph.input:
        if value.name in inputs:
            wanted = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            have = onnx_name(inputs[value.name].dtype)
            if wanted != have:
                raise InvalidRequestError(f"The graph's input {value.name!r} is {wanted}; the one at hand is {have}.")


def attributes_of(node: onnx.NodeProto) -> dict[str, str]:
    """A node's attributes as text; of tensors and graphs the kind only."""
    told = {}
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            told[attribute.name] = f"graph of {len(attribute.g.node)} nodes"
        elif attribute.type == onnx.AttributeProto.TENSOR:
            kind = onnx.TensorProto.DataType.Name(attribute.t.data_type)
            told[attribute.name] = f"{kind}{list(attribute.t.dims)}"
        else:
            told[attribute.name] = _plain(helper.get_attribute_value(attribute))
    return told


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)) or hasattr(value, "__len__"):
        return "[" + ", ".join(_plain(each) for each in list(value)[:16]) + "]"  # type: ignore[call-overload]
    return str(value)


def _value(name: str, dtype: np.dtype) -> onnx.ValueInfoProto:
    """An input of any shape."""
    value = onnx.ValueInfoProto(name=name)
    value.type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(onnx_name(dtype))
    return value


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types as far as ONNX can tell; nothing where it cannot, as for a model beyond protobuf's 2 GiB."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except (ValueError, onnx.shape_inference.InferenceError):
        return {}
    return {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}


def _weigh(model: onnx.ModelProto) -> int:
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def _session(model: onnx.ModelProto, folder: Path | None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    what: bytes | str
    if folder is None:
        what = model.SerializeToString()
    else:
        path = folder / "probe.onnx"
        path.write_bytes(model.SerializeToString())
        what = str(path)
    try:
        return ort.InferenceSession(what, sess_options=options, providers=["CPUExecutionProvider"])
    except (
        ort_errors.Fail,
        ort_errors.InvalidArgument,
        ort_errors.InvalidGraph,
        ort_errors.NotImplemented,
        ort_errors.RuntimeException,
    ) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        told = _FAILED_NODE.search(str(error)) or re.search(r"Node \((?P<name>[^)]*)\)", str(error))
        raise NodeFailedError(
            f"ONNX Runtime cannot load the graph: {lines[0].split(' : ', 3)[-1]}", node=told["name"] if told else ""
        ) from error
