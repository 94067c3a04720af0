"""What an exported graph must be before anybody builds on it. Checked, not assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.parity.batches import compare_at_two_batch_sizes
from onnxyard.runtimes.graph import Graph, read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from onnxyard.lifecycle.signature import TensorSpec


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A graph that passed every check.

    Attributes:
        graph: What the file says of itself.
        max_error: Largest absolute difference to the golden set's outputs, over a batch of all rows and batches of one.
    """

    graph: Graph
    max_error: float


def check_model(
    model_file: Path,
    *,
    inputs: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    opset: int | None,
    names: Sequence[str],
) -> CheckedModel:
    """Check the file: valid, of the opset asked for, with the right names, a free batch axis, and loadable.

    A finite numerical difference is measured here and judged by validate's gates; a graph that cannot run at another
    batch length, or answers in another shape, is refused here.

    Args:
        model_file: The ONNX file.
        inputs: The golden set's inputs, at least two rows.
        outputs: The source model's outputs for them.
        opset: The opset asked for; None takes what the file has.
        names: The outputs' names, in order.

    Raises:
        UnsupportedModelError: naming the first check that fails.
        InvalidRequestError: the graph's inputs or outputs are not called as the project says.
        ArtifactCorruptError: the file is not a model.
    """
    graph = read_graph(model_file)  # its IR version is proven by loading it in ONNX Runtime below
    _check_valid(model_file)
    if opset is not None and graph.opset != opset:
        raise UnsupportedModelError(
            f"The graph has opset {graph.opset} instead of {opset}.", where=str(model_file.name)
        )
    _check_names("inputs", [spec.name for spec in graph.signature.inputs], list(inputs), ordered=False)
    _check_names("outputs", [spec.name for spec in graph.signature.outputs], list(names), ordered=True)
    _check_batch_axis(graph)
    model = OnnxRuntime.load(model_file, provider="CPUExecutionProvider", threads=1)
    try:
        whole, single = compare_at_two_batch_sizes(model.run, inputs, outputs)
    except InvalidRequestError as error:  # names, dtypes and shapes fit, so it is the graph that cannot take them
        raise UnsupportedModelError(f"The graph does not answer the golden set: {error.detail}") from error
    for report, batch in ((whole, "all golden rows"), (single, "one row")):
        if not math.isfinite(report.max_abs):
            raise UnsupportedModelError(
                f"With a batch of {batch} the graph's output {report.where!r} differs in shape or is not finite.",
                remedy="Look for code that fixes the batch length, or for a division by zero.",
            )
    return CheckedModel(graph, max(whole.max_abs, single.max_abs))


def _check_valid(model_file: Path) -> None:
    try:
        onnx.checker.check_model(str(model_file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise UnsupportedModelError(f"The graph is not valid ONNX: {lines[0]}", where=model_file.name) from error


def _check_names(what: str, have: list[str], want: list[str], *, ordered: bool) -> None:
    if (have if ordered else sorted(have)) != (want if ordered else sorted(want)):
        raise InvalidRequestError(f"The graph's {what} are {', '.join(have)}, the project's are {', '.join(want)}.")


def _check_batch_axis(graph: Graph) -> None:
    def fixed(spec: TensorSpec) -> bool:
        return not spec.shape or isinstance(spec.shape[0], int)

    bad = [spec for spec in (*graph.signature.inputs, *graph.signature.outputs) if fixed(spec)]
    if bad:
        axis = bad[0].shape[0] if bad[0].shape else "missing"
        raise UnsupportedModelError(
            f"The first axis of {bad[0].name!r} is {axis}, not a free batch length.",
            remedy="Its first axis must be the batch, of any length.",
        )
