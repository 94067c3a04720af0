"""Which rows tell the most: the outputs are compared on all of them, the tensors inside on the worst and the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.blame.distance import Distance
from onnxyard.diagnosis.blame.pairing import output_pairs
from onnxyard.diagnosis.blame.probe import NodeFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.diagnosis.blame.probe import Probe
    from onnxyard.diagnosis.blame.reference import Reference

    Tensors = Mapping[str, np.ndarray]

_AT_ONCE = 32
"""Rows that the outputs are compared on in one run."""
_FIRST, _WORST = 4, 4


def telling_rows(
    reference: Reference, probe: Probe, inputs: Tensors
) -> tuple[dict[str, np.ndarray], dict[str, Distance]]:
    """The rows to look inside at, and how far each output is off over all rows.

    Args:
        reference: The side that is right.
        probe: The graph.
        inputs: All rows.

    Returns:
        Inputs of at most eight rows (all where rows cannot be told apart), and the distances by the graph's output.
    """
    finals = output_pairs(reference, probe)
    outputs = {pair.tensor: Distance() for pair in finals}
    worst: list[np.ndarray] = []
    for batch in in_batches(inputs, _AT_ONCE):
        expected = reference.run(batch, {pair.place for pair in finals})
        actual = _outputs(probe, batch)
        rows = count_rows(batch)
        errors = np.zeros(rows)
        for pair in finals:
            value = pair.moved(expected[pair.place], actual.get(pair.tensor))
            outputs[pair.tensor].add(value, actual.get(pair.tensor))
            errors = np.maximum(errors, _by_row(value, actual.get(pair.tensor), rows))
        worst.append(errors)
    errors = np.concatenate(worst)
    if len(errors) <= _FIRST + _WORST:
        return dict(inputs), outputs
    order = dict.fromkeys([*np.argsort(-errors, kind="stable")[:_WORST].tolist(), *range(len(errors))])
    kept = sorted(list(order)[: _WORST + _FIRST])
    return {name: array[kept] for name, array in inputs.items()}, outputs


def in_batches(inputs: Tensors, size: int) -> Iterator[dict[str, np.ndarray]]:
    """The rows, at most `size` and at least two at a time; all at once where rows cannot be told apart."""
    rows = count_rows(inputs)
    if rows <= size:
        yield dict(inputs)
        return
    starts = list(range(0, rows, size))
    if rows - starts[-1] < 2:
        starts.pop()  # a batch of one row may be something else to a model that squeezes
    for start, stop in zip(starts, [*starts[1:], rows], strict=True):
        yield {name: array[start:stop] for name, array in inputs.items()}


def first_rows(inputs: Tensors, rows: int) -> dict[str, np.ndarray]:
    """The first rows; the inputs as they are where rows cannot be told apart."""
    return next(in_batches(inputs, rows))


def count_rows(inputs: Tensors) -> int:
    """The common length of all first axes; 0 where there is none, so that rows cannot be told apart."""
    lengths = {array.shape[0] if array.ndim else 0 for array in inputs.values()}
    return lengths.pop() if len(lengths) == 1 else 0


def _outputs(probe: Probe, batch: Tensors) -> dict[str, np.ndarray]:
    try:
        return probe.run(batch, probe.outputs)
    except NodeFailedError:
        return {}


def _by_row(expected: np.ndarray, actual: np.ndarray | None, rows: int) -> np.ndarray:
    """The largest absolute difference in each row, infinite where one side alone is not finite; zeros where the
    output has no rows, or none that can be compared.
    """  # noqa: D205
    if actual is None or actual.shape != expected.shape or not expected.ndim or len(expected) != rows:
        return np.zeros(rows)
    if expected.dtype.kind not in "biuf":
        return np.array([float(np.any(one != other)) for one, other in zip(expected, actual, strict=True)])
    with np.errstate(invalid="ignore"):
        difference = np.abs(expected.astype(np.float64) - actual.astype(np.float64)).reshape(rows, -1)
    same = np.isnan(expected) & np.isnan(actual) if expected.dtype.kind == "f" else np.zeros(expected.shape, dtype=bool)
    difference[same.reshape(rows, -1) | (expected == actual).reshape(rows, -1)] = 0.0
    largest: np.ndarray = np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max(axis=1, initial=0.0)
    return largest
