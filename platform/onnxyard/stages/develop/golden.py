"""The golden set: a few rows of the validation split that every later step is compared on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.project.data import class_of_rows
from onnxyard.tensors.files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from onnxyard.project.processing import Processing
    from onnxyard.project.split import Split

    Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

_ROWS = 1024


def write_golden_set(
    folder: Path, rows: Split, processing: Processing, run: Run
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Write `raw/`, `inputs/` (after preprocess), `outputs/` (the source model's) and `answers/` (after postprocess).

    Returns:
        The raw inputs, the model's outputs and the answers.

    Raises:
        UserCodeError: `preprocess` or `postprocess` failed.
    """
    raw = rows.inputs
    inputs = processing.before(raw)
    outputs = run(inputs)
    answers = processing.after(outputs)
    for name, tensors in {"raw": raw, "inputs": inputs, "outputs": outputs, "answers": answers}.items():
        write_tensors(folder / name, tensors)
    return raw, outputs, answers


def choose_rows(split: Split, count: int, seed: int) -> np.ndarray:
    """Pick the rows of a golden set: every class, the extremes of every input, then a seeded draw.

    A class counts where targets are 1-D integers. The extremes are the rows with the smallest and largest mean and
    the smallest and largest single value of each numeric input.

    Returns:
        Ascending positions [at most count], as many as the split has rows for.
    """
    score = np.concatenate([_scores(batch.inputs) for batch in split.batches(_ROWS)])
    order = np.random.default_rng(seed).permutation(len(score))
    _, first = np.unique(class_of_rows(split)[order], return_index=True)
    wanted: list[int] = order[np.sort(first)].tolist()
    wanted += np.stack([score.argmin(axis=0), score.argmax(axis=0)], axis=1).ravel().tolist() if score.size else []
    wanted += order.tolist()
    return np.sort(np.array(list(dict.fromkeys(wanted))[:count], dtype=np.int64))


def _scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean, smallest and largest value of each numeric input, per row: FLOAT [rows, 3 x inputs]."""
    rows = len(next(iter(inputs.values())))
    columns = [np.zeros((rows, 0))]
    for values in inputs.values():
        if values.size and values.dtype.kind not in "OUSTc":
            flat = values.reshape(rows, -1).astype(np.float64)
            columns.append(np.stack([flat.mean(axis=1), flat.min(axis=1), flat.max(axis=1)], axis=1))
    return np.concatenate(columns, axis=1)
