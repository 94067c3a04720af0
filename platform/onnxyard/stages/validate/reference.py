"""The reference: what the endpoint would have logged had the test split been its traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.profile.layout import Layout
from onnxyard.profile.reference import write_reference
from onnxyard.tensors.files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature
    from onnxyard.project.processing import Processing
    from onnxyard.project.split import Split

_ROWS = 256


def write(
    folder: Path,
    *,
    signature: Signature,
    columns: Mapping[str, Sequence[str]],
    split: Split,
    outputs: Mapping[str, np.ndarray],
    processing: Processing,
    expected: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Write the reference artifact: layout, columns, and per target what a replay of the golden set must give.

    Args:
        folder: An empty folder.
        signature: The endpoint's: raw inputs and answers.
        columns: `[project.columns]`.
        split: The test split, raw.
        outputs: The deployed target's chosen model's outputs for all of its rows.
        processing: Its `postprocess` turns outputs into answers.
        expected: By target: the chosen model's outputs for the golden set's inputs (folder `expected-TARGET`).

    Raises:
        InvalidRequestError: the columns do not fit the inputs.
        UserCodeError: `postprocess` raised.
        StorageFullError: no space is left.
    """
    layout = Layout.of(signature, columns)
    parts: list[dict[str, np.ndarray]] = []
    start = 0
    for batch in split.batches(_ROWS):
        stop = start + len(batch.targets)
        answers = processing.after({name: values[start:stop] for name, values in outputs.items()})
        parts.append(layout.describe(batch.inputs, answers))
        start = stop
    write_reference(folder, layout, {name: np.concatenate([part[name] for part in parts]) for name in layout.names})
    for target, tensors in expected.items():
        write_tensors(folder / f"expected-{target}", tensors)
