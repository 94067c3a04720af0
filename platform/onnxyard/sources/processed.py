"""A source whose model has steps before or behind it, which become part of its graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx

from onnxyard.errors import UserCodeError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.processing.composing import Front, back, framed, front, is_step, model_alone
from onnxyard.processing.flow import FRONT, MODEL, Flow, boundary
from onnxyard.runtimes.graph import all_nodes, describe_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime, OrtModel
from onnxyard.settings import PROJECT_FILE
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import MODULE_KEY, SOURCE_KEY
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report
    from onnxyard.sources.source import Source

    Arrays = Mapping[str, np.ndarray]

_OPSET = 20
"""Of the steps where they run by themselves: in training, and around the framework's own model. What export makes is
compared with them, at whatever opset it was asked for.
"""
STEP = "onnxyard step"
"""The class that the sidecar gives a step's nodes."""


class Processed:
    """The `Source` of a project with `[[preprocess]]` or `[[postprocess]]`.

    To the stages it is one model from raw input to answer. Training sees what the steps in front give; the framework's
    own model runs between the very steps that the exported graph will hold.

    Args:
        inner: The source of the model itself.
    """

    def __init__(self, inner: Source) -> None:
        self.inner = inner

    @property
    def packages(self) -> tuple[str, ...]:
        return self.inner.packages

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
        steps = _Steps(project)
        return self.inner.fit(project, functions, splits.changed(lambda raw: steps.before(raw)[0]), folder, report)

    def load(self, project: Project, folder: Path) -> ProcessedModel:
        return ProcessedModel(_Steps(project), self.inner.load(project, folder))

    def model_asked(self, project: Project, asked: Asked) -> Asked:
        """What is asked of the model itself, where `asked` is what is asked of the whole."""
        steps = _Steps(project)
        inputs, _ = steps.before(asked.inputs)
        return replace(asked, inputs=inputs, outputs=project.file.project.outputs, axes=steps.axes(asked.inputs))

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
        steps = _Steps(project)

        def around(attempt: Attempt) -> Attempt:
            def make(model_file: Path) -> Exported:
                exported = attempt.make(model_file)
                whole = _frame(model_file, steps, asked)
                return replace(exported, sidecar=_sidecar(exported.sidecar, whole))

            return Attempt(attempt.name, make)

        for attempt in self.inner.attempts(project, folder, self.model_asked(project, asked)):
            yield around(attempt)


def without_steps(
    model_file: Path, sidecar: Mapping[str, Any], folder: Path
) -> tuple[Path, dict[str, Any] | Mapping[str, Any]]:
    """A graph and its sidecar without the steps around the model, for whoever looks at the model alone.

    Args:
        model_file: The graph; one without steps comes back as it is.
        sidecar: Its sidecar's document; empty where there is none.
        folder: An existing folder to write into.

    Returns:
        The file, and the sidecar with the outputs' own names.
    """
    core = model_alone(onnx.load(model_file))
    if core is None:
        return model_file, sidecar
    alone = folder / "alone.onnx"
    save_model(core, alone)
    if not sidecar:
        return alone, sidecar
    prefix = boundary(MODEL, "")
    tensors = {name.removeprefix(prefix): told for name, told in sidecar["tensors"].items() if not is_step(name)}
    nodes = [node for node in sidecar["nodes"] if not is_step(node["name"])]
    for node in nodes:
        node["outputs"] = [name.removeprefix(prefix) for name in node["outputs"]]
    return alone, {**sidecar, "nodes": nodes, "tensors": tensors}


class ProcessedModel:
    """A `LoadedModel`: the steps in front, a model, the steps behind. Thread-safe where the model is."""

    def __init__(self, steps: _Steps, inner: LoadedModel) -> None:
        self._steps = steps
        self.inner = inner
        self._signature = Signature((), ())

    @property
    def signature(self) -> Signature:
        """As of the latest run; empty before the first one."""
        return self._signature

    @property
    def runtime(self) -> str:
        return self.inner.runtime

    @property
    def provider(self) -> str:
        return self.inner.provider

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """All outputs by name, from raw inputs.

        Raises:
            UserCodeError: a step does not fit what comes in, or `forward` failed.
            InvalidRequestError, UnsupportedModelError: the inputs are not what the steps or the model take.
        """
        ready, carried = self._steps.before(inputs)
        outputs = self._steps.behind(self.inner.run(ready), carried)
        self._signature = Signature(_specs(inputs, {}), _specs(outputs, {}))
        return outputs


class _Steps:
    """A project's steps, as graphs of their own: built for what comes in, once per kind of it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._fronts: dict[tuple[TensorSpec, ...], tuple[Front, OrtModel]] = {}
        self._backs: dict[tuple[TensorSpec, ...], OrtModel] = {}

    def before(self, raw: Arrays) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The model's inputs, and what is carried past it."""
        if not self.project.file.preprocess:
            return dict(raw), {}
        piece, running = self._front(raw)
        given = {name.removeprefix(boundary(FRONT, "")): values for name, values in running.run(raw).items()}
        carried = {name: given.pop(name) for name in piece.carried}
        return given, carried

    def behind(self, outputs: Arrays, carried: Arrays) -> dict[str, np.ndarray]:
        """The answers."""
        if not self.project.file.postprocess:
            return dict(outputs)
        if missing := [name for name in self.project.file.project.outputs if name not in outputs]:
            raise UserCodeError(
                f"The model has no output {missing[0]!r}.",
                where="[project] outputs",
                remedy=f"It gives {', '.join(outputs)}.",
            )
        specs = _specs(outputs, {})
        fed = {boundary(MODEL, name): values for name, values in outputs.items()}
        fed |= {boundary(FRONT, name): values for name, values in carried.items()}
        if specs not in self._backs:
            flows = {n: _flow_of(boundary(FRONT, n), values) for n, values in carried.items()}
            model = back(self.project.file.postprocess, specs, flows, opset=_OPSET, root=self.project.root)
            self._backs[specs] = OnnxRuntime.load_bytes(model.SerializeToString())
        return self._backs[specs].run(fed)

    def axes(self, raw: Arrays) -> dict[str, tuple[int | str, ...]]:
        """The axes of the model's inputs."""
        if not self.project.file.preprocess:
            return dict(self.project.file.project.axes)
        _, running = self._front(raw)
        prefix = boundary(FRONT, "")
        given = {spec.name.removeprefix(prefix): spec.shape for spec in running.signature.outputs}
        return {name: given[name] for name in self.before(raw)[0]}

    def front_of(self, raw: Arrays, opset: int) -> Front:
        """The steps in front, at an opset."""
        specs = _specs(raw, self.project.file.project.axes)
        return front(self.project.file.preprocess, specs, opset=opset, root=self.project.root)

    def _front(self, raw: Arrays) -> tuple[Front, OrtModel]:
        specs = _specs(raw, self.project.file.project.axes)
        if specs not in self._fronts:
            piece = self.front_of(raw, _OPSET)
            self._fronts[specs] = (piece, OnnxRuntime.load_bytes(piece.model.SerializeToString()))
        return self._fronts[specs]


def _frame(model_file: Path, steps: _Steps, asked: Asked) -> onnx.ModelProto:
    """Put the steps around the model in this file, at its own opset."""
    core = onnx.load(model_file)
    for other in model_file.parent.iterdir():  # external data, which is in memory now
        if other != model_file:
            other.unlink()
    graph = describe_graph(core, where=model_file.name)
    file = steps.project.file
    piece = steps.front_of(asked.inputs, graph.opset) if file.preprocess else None
    carried = piece.carried if piece is not None else {}
    behind = (
        back(file.postprocess, graph.signature.outputs, carried, opset=graph.opset, root=steps.project.root)
        if file.postprocess
        else None
    )
    whole = framed(core, piece.model if piece is not None else None, behind)
    for node in all_nodes(whole.graph):
        if is_step(node.name):
            node.metadata_props.add(key=MODULE_KEY, value=_step_of(node.name))
            node.metadata_props.add(key=SOURCE_KEY, value=PROJECT_FILE)
    save_model(whole, model_file)
    return whole


def _sidecar(document: Mapping[str, Any], whole: onnx.ModelProto) -> dict[str, object]:
    """The model's sidecar, with its outputs called as they are now, and the steps' nodes in their places."""
    given = {name for node in all_nodes(whole.graph) for name in node.output}
    told = {node["name"]: node for node in document["nodes"]}
    nodes = []
    tensors = {
        boundary(MODEL, n) if n not in given and boundary(MODEL, n) in given else n: fields
        for n, fields in document["tensors"].items()
    }
    for node in all_nodes(whole.graph):
        if is_step(node.name):
            fields = {"module": _step_of(node.name), "class": STEP, "source": PROJECT_FILE}
            operator = f"{node.domain}::{node.op_type}".removeprefix("::")
            nodes.append({"name": node.name, "op": operator, "outputs": list(node.output)} | fields)
            tensors.update({name: dict(fields) for name in node.output if name})
        elif node.name in told:
            nodes.append({**told[node.name], "outputs": list(node.output)})
    return {**document, "nodes": nodes, "tensors": tensors}


def _step_of(node: str) -> str:
    """As `preprocess/0.resize`: the module path of a step's node."""
    return "/".join(node.split("/")[:2])


def _flow_of(value: str, array: np.ndarray) -> Flow:
    return Flow(value, onnx_name(array.dtype), ("batch", *array.shape[1:]))


def _specs(tensors: Arrays, axes: Mapping[str, tuple[int | str, ...]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, onnx_name(values.dtype), axes.get(name, ("batch", *values.shape[1:])))
        for name, values in tensors.items()
    )
