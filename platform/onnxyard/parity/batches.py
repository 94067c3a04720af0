"""The same rows at two batch sizes: catches a batch length that an exporter baked into the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.parity.error import ErrorReport, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def compare_at_two_batch_sizes(
    run: Run, inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> tuple[ErrorReport, ErrorReport]:
    """Run all rows at once, then one by one, and compare both with what was expected.

    Args:
        run: The model; its first axis is the batch, of inputs and outputs alike.
        inputs: Arrays with the same number of rows, at least one.
        expected: The outputs for all rows.

    Returns:
        The reports at batch n and at batch 1.

    Raises:
        What `run` raises, as for a batch of 1 that a graph with a baked-in length cannot take.
    """
    whole = run(inputs)
    rows = len(next(iter(inputs.values())))
    single = [run({name: array[row : row + 1] for name, array in inputs.items()}) for row in range(rows)]
    joined = {name: _join([answer[name] for answer in single]) for name in single[0]}
    return compare(expected, whole), compare(expected, joined)


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """Rows joined; where they do not fit together nothing is, so that the comparison sees another shape."""
    if any(part.ndim == 0 or part.shape[1:] != parts[0].shape[1:] for part in parts):
        return np.empty((0,), dtype=parts[0].dtype)
    return np.concatenate(parts)
