"""What an exported graph must be before anybody builds on it. Checked, not assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.parity.batches import compare_at_two_batch_sizes
from onnxyard.parity.error import ErrorReport, compare
from onnxyard.runtimes.graph import Graph, read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.axes import dynamic_axes, other_lengths
from onnxyard.tensors.dtypes import BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from onnxyard.lifecycle.signature import TensorSpec
    from onnxyard.sources.source import Asked

    Tensors = Mapping[str, np.ndarray]
    Run = Callable[[Tensors], dict[str, np.ndarray]]

PARITY = 1e-4
"""Largest difference that counts as float32 noise, relative to the output's largest value."""
_STEPS = 4
"""Rounding steps of a type narrower than float32 that count as its noise."""
_NARROW = {"fp16": float(np.finfo(np.float16).eps), "bf16": 2.0**-7}
_SINGLE_ROWS = 64
"""Rows that are run one by one through source and graph alike, at most; spread over the golden set."""


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A graph that passed every check.

    Attributes:
        graph: What the file says of itself.
        max_error: Largest absolute difference to the source's outputs, over all batch sizes and lengths that were run.
        relative_error: Largest difference relative to the largest value of its output; 0 where both are 0.
        tolerance: What counts as rounding noise for `relative_error`, given the graph's precision.
        where: The output that the relative error was seen in; empty where there is none.
    """

    graph: Graph
    max_error: float
    relative_error: float
    tolerance: float
    where: str = ""

    @property
    def holds(self) -> bool:
        """Whether the graph does what the source does, up to rounding."""
        return self.relative_error <= self.tolerance


@dataclass(frozen=True, slots=True)
class _Difference:
    """How far one run of the graph was from the source: as it was run, absolute, relative, and where."""

    run: str
    report: ErrorReport
    relative: float
    where: str


def check_model(model_file: Path, asked: Asked, expected: Tensors, *, reference: Run | None = None) -> CheckedModel:
    """Check the file: valid, of the opset asked for, with the right names, free axes where declared, and loadable.

    A finite numerical difference is measured here and judged by others; a graph that cannot run at another length of a
    dynamic axis, or answers in another shape, is refused here.

    Args:
        model_file: The ONNX file.
        asked: What was asked for; its inputs are the golden set's, at least two rows.
        expected: The source model's outputs for them.
        reference: Runs the source model. With it, single rows and other lengths of each dynamic axis are compared with
            what the source itself says of them; without it, single rows with their part of `expected`, and no other
            lengths.

    Raises:
        UnsupportedModelError: naming the first check that fails.
        InvalidRequestError: the graph's inputs or outputs are not called as the project says; or the source itself runs
            at no other length of an axis that is declared dynamic.
        ArtifactCorruptError: the file is not a model.
    """
    graph = read_graph(model_file)  # its IR version is proven by loading it in ONNX Runtime below
    _check_valid(model_file)
    if asked.opset is not None and graph.opset != asked.opset:
        raise UnsupportedModelError(
            f"The graph has opset {graph.opset} instead of {asked.opset}.", where=str(model_file.name)
        )
    _check_names("inputs", [spec.name for spec in graph.signature.inputs], list(asked.inputs), ordered=False)
    _check_names("outputs", [spec.name for spec in graph.signature.outputs], list(asked.outputs), ordered=True)
    _check_free_axes(graph, asked)
    model = OnnxRuntime.load(model_file, provider="CPUExecutionProvider", threads=1)
    differences = list(_differences(model.run, asked, expected, reference))
    for difference in differences:
        if not math.isfinite(difference.report.max_abs):
            raise UnsupportedModelError(
                f"With {difference.run} the graph's output {difference.report.where!r} differs in shape or is not "
                "finite.",
                remedy="Look for code that fixes the length of an axis, or for a division by zero.",
            )
    worst = max(differences, key=lambda difference: difference.relative)
    return CheckedModel(
        graph,
        max_error=max(difference.report.max_abs for difference in differences),
        relative_error=worst.relative,
        tolerance=_tolerance(graph, expected),
        where=worst.where,
    )


def _differences(run: Run, asked: Asked, expected: Tensors, reference: Run | None) -> Iterator[_Difference]:
    if reference is None:
        try:
            whole, single = compare_at_two_batch_sizes(run, asked.inputs, expected)
        except InvalidRequestError as error:
            raise _unanswered(error) from error
        largest = max((_largest(values) for values in expected.values()), default=0.0)
        for report, name in ((whole, "a batch of all golden rows"), (single, "a batch of one row")):
            yield _Difference(name, report, _ratio(report.max_abs, largest), report.where)
        return
    yield _compare("a batch of all golden rows", run, asked.inputs, expected)
    yield _one_by_one(run, asked.inputs, reference)
    for axis in dynamic_axes(asked):
        inputs, wanted, length = _at_another_length(asked, axis, reference)
        yield _compare(f"length {length} of the axis {axis!r}", run, inputs, wanted)


def _compare(
    name: str, run: Run, inputs: Tensors, wanted: Tensors, largest: Mapping[str, float] | None = None
) -> _Difference:
    """One run of the graph against the source's outputs; `largest` is each output's largest value elsewhere."""
    try:
        given = run(inputs)
    except InvalidRequestError as error:  # names, dtypes and shapes fit, so it is the graph that cannot take them
        raise _unanswered(error) from error
    except UnsupportedModelError as error:
        error.detail = f"With {name} the graph fails. {error.detail}"
        raise
    report = compare(wanted, given)
    if not math.isfinite(report.max_abs):
        return _Difference(name, report, math.inf, report.where)
    sizes = largest or {output: _largest(values) for output, values in wanted.items()}
    each = {
        output: _ratio(compare({output: values}, {output: given[output]}).max_abs, sizes[output])
        for output, values in wanted.items()
    }
    where = max(each, key=lambda output: each[output])
    return _Difference(name, report, each[where], where if each[where] else "")


def _one_by_one(run: Run, inputs: Tensors, reference: Run) -> _Difference:
    """The worst single row: a branch that was frozen to the whole batch shows where one row would take another."""
    rows = len(next(iter(inputs.values())))
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, _SINGLE_ROWS)).round().astype(int))
    singles = [{name: values[row : row + 1] for name, values in inputs.items()} for row in chosen]
    wanted = [reference(single) for single in singles]
    # Relative to the largest value over all rows: a row that happens to be near zero is no larger error.
    largest = {name: max(_largest(answer[name]) for answer in wanted) for name in wanted[0]}
    found = [
        _compare("a batch of one row", run, single, answer, largest)
        for single, answer in zip(singles, wanted, strict=True)
    ]
    return max(found, key=lambda difference: difference.relative)


def _at_another_length(asked: Asked, axis: str, reference: Run) -> tuple[Tensors, Tensors, int]:
    """Inputs at a length that the source itself takes, and its answer."""
    reason = ""
    for inputs in other_lengths(asked, axis):
        length = _length(asked, inputs, axis)
        try:
            return inputs, reference(inputs), length
        except UserCodeError as error:
            reason = error.detail
    raise InvalidRequestError(
        f"The axis {axis!r} is declared dynamic, but the model itself runs at no other length. {reason}",
        where="[project.axes]",
        remedy="Declare its length as a number.",
    )


def _length(asked: Asked, inputs: Tensors, axis: str) -> int:
    return next(
        inputs[name].shape[at] for name in inputs for at, declared in enumerate(asked.axes_of(name)) if declared == axis
    )


def _tolerance(graph: Graph, expected: Tensors) -> float:
    narrow = [_NARROW[graph.precision]] if graph.precision in _NARROW else []
    for values in expected.values():
        if values.dtype == np.float16:
            narrow.append(_NARROW["fp16"])
        elif values.dtype == BFLOAT16:
            narrow.append(_NARROW["bf16"])
    return max(PARITY, _STEPS * max(narrow, default=0.0))


def _largest(values: np.ndarray) -> float:
    """The largest finite size in an output; 1 for what has none, as text."""
    if values.dtype.kind in "OUST":
        return 1.0
    sizes = np.abs(values.astype(np.complex128 if values.dtype.kind == "c" else np.float64))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))


def _ratio(difference: float, largest: float) -> float:
    """The difference relative to an output's largest value; absolute where the output is all zeros."""
    return difference / (largest or 1.0)


def _unanswered(error: InvalidRequestError) -> UnsupportedModelError:
    return UnsupportedModelError(f"The graph does not answer the golden set: {error.detail}")


def _check_valid(model_file: Path) -> None:
    try:
        onnx.checker.check_model(str(model_file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise UnsupportedModelError(f"The graph is not valid ONNX: {lines[0]}", where=model_file.name) from error


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
