"""What an exported graph must be before anybody builds on it. Checked, not assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnxyard.diagnosis.declared import Axis, misdeclared
from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.runtimes.graph import Graph, read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.tensors.dtypes import BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from onnxyard.diagnosis.probes import Probe
    from onnxyard.lifecycle.signature import TensorSpec
    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.sources.source import Asked

PARITY = 1e-4
"""Largest difference that counts as float32 noise, relative to the output's largest value."""
_STEPS = 4
"""Rounding steps of a type narrower than float32 that count as its noise."""
_NARROW = {"fp16": float(np.finfo(np.float16).eps), "bf16": 2.0**-7}


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A graph that passed every check.

    Attributes:
        graph: What the file says of itself.
        max_error: Largest absolute difference to the source's outputs, over all batch sizes and lengths that were run.
        relative_error: Largest difference relative to the largest value of its output; 0 where both are 0.
        tolerance: What counts as rounding noise for `relative_error`, given the graph's precision.
        where: The output that the relative error was seen in; empty where there is none.
        misdeclared: Axes of outputs that the graph declares with a length that its answers do not have.
    """

    graph: Graph
    max_error: float
    relative_error: float
    tolerance: float
    where: str = ""
    misdeclared: frozenset[Axis] = frozenset()

    @property
    def holds(self) -> bool:
        """Whether the graph does what the source does, up to rounding."""
        return self.relative_error <= self.tolerance


def check_model(model_file: Path, asked: Asked, asking: Iterable[Probe]) -> CheckedModel:
    """Check the file: valid, of the opset asked for, with the right names, free axes where declared, and loadable.

    A finite numerical difference is measured here and judged by others; a graph that cannot run at another length of a
    dynamic axis, or answers in another shape, is refused here.

    Args:
        model_file: The ONNX file.
        asked: What was asked for.
        asking: What the graph is run on (`onnxyard.diagnosis.probes`).

    Raises:
        UnsupportedModelError: naming the first check that fails.
        InvalidRequestError: the graph's inputs or outputs are not called as the project says.
        ArtifactCorruptError: the file is not a model.
    """
    graph = check_file(model_file, asked.opset)
    _check_names("inputs", [spec.name for spec in graph.signature.inputs], list(asked.inputs), ordered=False)
    _check_names("outputs", [spec.name for spec in graph.signature.outputs], list(asked.outputs), ordered=True)
    _check_free_axes(graph, asked)
    return measure(model_file, graph, asking)


def check_file(model_file: Path, opset: int | None) -> Graph:
    """Check what the file says of itself: valid ONNX, shapes inferred throughout, of the opset that was asked for.

    Raises:
        UnsupportedModelError: it is not.
        ArtifactCorruptError: the file is not a model.
    """
    graph = read_graph(model_file)  # its IR version is proven by loading it in ONNX Runtime
    try:
        onnx.checker.check_model(str(model_file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise UnsupportedModelError(f"The graph is not valid ONNX: {lines[0]}", where=model_file.name) from error
    if opset is not None and graph.opset != opset:
        raise UnsupportedModelError(f"The graph has opset {graph.opset} instead of {opset}.", where=model_file.name)
    return graph


def measure(model_file: Path, graph: Graph, asking: Iterable[Probe]) -> CheckedModel:
    """Load the file in ONNX Runtime and compare its answers with the source's.

    Raises:
        UnsupportedModelError: it cannot be loaded, fails on a probe, or answers in another shape.
    """
    model = OnnxRuntime.load(model_file, provider="CPUExecutionProvider", threads=1)
    checked = CheckedModel(graph, max_error=0.0, relative_error=0.0, tolerance=PARITY)
    for probe in asking:
        given = _answer(model, probe)
        report = compare(probe.expected, given)
        if not math.isfinite(report.max_abs):
            raise UnsupportedModelError(
                f"With {probe.name} the graph's output {report.where!r} differs in shape or is not finite.",
                remedy="Look for code that fixes the length of an axis, or for a division by zero.",
            )
        checked = replace(
            checked,
            max_error=max(checked.max_error, report.max_abs),
            tolerance=max(checked.tolerance, _tolerance(graph, probe.expected)),
            misdeclared=checked.misdeclared.union(misdeclared(graph, given)),
        )
        for name, wanted in probe.expected.items():
            # Of an output that is all zeros the difference itself counts.
            relative = compare({name: wanted}, {name: given[name]}).max_abs / (probe.largest[name] or 1.0)
            if relative > checked.relative_error:
                checked = replace(checked, relative_error=relative, where=name)
    return checked


def _answer(model: LoadedModel, probe: Probe) -> dict[str, np.ndarray]:
    try:
        return model.run(probe.inputs)
    except InvalidRequestError as error:  # names, dtypes and shapes fit, so it is the graph that cannot take them
        raise UnsupportedModelError(f"The graph does not answer the golden set: {error.detail}") from error
    except UnsupportedModelError as error:
        error.detail = f"With {probe.name} the graph fails. {error.detail}"
        raise


def _tolerance(graph: Graph, expected: Mapping[str, np.ndarray]) -> float:
    narrow = [_NARROW[graph.precision]] if graph.precision in _NARROW else []
    for values in expected.values():
        if values.dtype == np.float16:
            narrow.append(_NARROW["fp16"])
        elif values.dtype == BFLOAT16:
            narrow.append(_NARROW["bf16"])
    return max(PARITY, _STEPS * max(narrow, default=0.0))


def _check_names(what: str, have: list[str], want: Sequence[str], *, ordered: bool) -> None:
    if (have if ordered else sorted(have)) != (list(want) if ordered else sorted(want)):
        raise InvalidRequestError(f"The graph's {what} are {', '.join(have)}, the project's are {', '.join(want)}.")


def _check_free_axes(graph: Graph, asked: Asked) -> None:
    """The batch is free everywhere, and every axis of an input that is declared dynamic is."""

    def fixed(spec: TensorSpec) -> bool:
        return not spec.shape or isinstance(spec.shape[0], int)

    bad = [spec for spec in (*graph.signature.inputs, *graph.signature.outputs) if fixed(spec)]
    if bad:
        axis = bad[0].shape[0] if bad[0].shape else "missing"
        raise UnsupportedModelError(
            f"The first axis of {bad[0].name!r} is {axis}, not a free batch length.",
            remedy="Its first axis must be the batch, of any length.",
        )
    for spec in graph.signature.inputs:
        for at, (have, declared) in enumerate(zip(spec.shape, asked.axes_of(spec.name), strict=False)):
            if isinstance(declared, str) and not (isinstance(have, str) and not have.isdecimal()):
                raise UnsupportedModelError(
                    f"Axis {at} of {spec.name!r} is baked in at {have}; it is declared dynamic, as {declared!r}.",
                    where="[project.axes]",
                    remedy="Take the length from x.shape in forward, or declare it as a number.",
                )
