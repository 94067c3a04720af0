"""Running a split through a model, whatever runs it, and scoring what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.project.split import Batch, join

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from onnxyard.project.processing import Processing
    from onnxyard.project.protocols import Targets
    from onnxyard.project.split import Split

ROWS = 256
"""Rows per call; only the outputs of all rows are in memory at once."""


def predict(
    split: Split,
    processing: Processing,
    run: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]],
    *,
    rows: int = ROWS,
) -> tuple[Targets, dict[str, np.ndarray]]:
    """Run every row of a raw split: preprocess, then the model.

    Args:
        split: With raw inputs.
        processing: The version's.
        run: As `LoadedModel.run`.
        rows: Rows per call.

    Returns:
        The targets, and the model's outputs by name (before postprocess), row by row: what `metrics` takes.

    Raises:
        UserCodeError: the split is empty, or `preprocess` failed.
    """
    answered = [Batch(run(processing.before(batch.inputs)), batch.targets) for batch in split.batches(rows)]
    outputs, targets = join(answered)
    return targets, outputs
