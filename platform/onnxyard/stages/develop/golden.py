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
    the smallest and largest single value of each numeric input, and the row in which most values are missing.

    Returns:
        Ascending positions [at most count], as many as the split has rows for.
    """
    read = [(_scores(batch.inputs), _missing(batch.inputs)) for batch in split.batches(_ROWS)]
    score, missing = (np.concatenate(parts) for parts in zip(*read, strict=True))
    order = np.random.default_rng(seed).permutation(len(score))
    _, first = np.unique(class_of_rows(split)[order], return_index=True)
    wanted: list[int] = order[np.sort(first)].tolist()
    wanted += np.stack([score.argmin(axis=0), score.argmax(axis=0)], axis=1).ravel().tolist() if score.size else []
    wanted += [int(missing.argmax())] if missing.any() else []
    wanted += order.tolist()
    return np.sort(np.array(list(dict.fromkeys(wanted))[:count], dtype=np.int64))


def _scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean, smallest and largest value of each numeric input, per row: float64 [rows, 3 x inputs], NaN passed over."""
    rows = len(next(iter(inputs.values())))
    columns = [np.zeros((rows, 0))]
    for values in inputs.values():
        if values.size and values.dtype.kind not in "OUSTc":
            flat = values.reshape(rows, -1).astype(np.float64)
            known = ~np.isnan(flat)
            mean = flat.sum(axis=1, where=known) / np.maximum(known.sum(axis=1), 1)
            low, high = flat.min(axis=1, where=known, initial=np.inf), flat.max(axis=1, where=known, initial=-np.inf)
            extremes = (np.where(known.any(axis=1), extreme, mean) for extreme in (low, high))
            columns.append(np.stack([mean, *extremes], axis=1))
    return np.concatenate(columns, axis=1)


def _missing(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """How many values of each row are NaN or an empty text: int64 [rows]."""
    counts = np.zeros(len(next(iter(inputs.values()))), dtype=np.int64)
    for values in inputs.values():
        if values.dtype.kind in "fO":
            absent = (values == "") if values.dtype.kind == "O" else np.isnan(values)
            counts += np.asarray(absent, dtype=bool).reshape(len(values), -1).sum(axis=1)
    return counts
