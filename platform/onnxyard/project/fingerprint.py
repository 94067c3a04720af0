"""The data's fingerprint, read batch by batch: the same rows give the same digest, however they are batched."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import UserCodeError
from onnxyard.lifecycle.digest import digest_of
from onnxyard.project.checks import check_batch, layout_of
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from onnxyard.project.data import Splits
    from onnxyard.project.split import Split

_ROWS = 1024


def fingerprint(splits: Splits) -> tuple[str, dict[str, int]]:
    """Digest every row of every split, and count them. Each batch is checked as it passes.

    Returns:
        sha256 (64 hex digits) over every split's inputs and targets; rows by split.

    Raises:
        UserCodeError: an input holds NaN, or changes its type or shape from one batch to the next.
    """
    documents, rows = {}, {}
    for name, split in splits:
        documents[name] = _of_split(name, split)
        rows[name] = len(split)
    return digest_of(documents), rows


def _of_split(name: str, split: Split) -> dict[str, object]:
    layout: dict[str, tuple[str, tuple[int, ...]]] | None = None
    inputs: dict[str, Any] = {}
    targets = hashlib.sha256()
    for batch in split.batches(_ROWS):
        found = layout_of(batch.inputs)
        if layout is None:
            layout, inputs = found, {key: hashlib.sha256() for key in found}
        elif found != layout:
            raise UserCodeError(f"The inputs of the {name} split change from one batch to the next: {layout}, {found}.")
        check_batch(name, batch.inputs)
        for key, values in batch.inputs.items():
            _feed(inputs[key], values)
        for target in batch.targets:
            _feed(targets, target)
    return {
        "inputs": {key: [*(layout or {})[key], digest.hexdigest()] for key, digest in inputs.items()},
        "targets": targets.hexdigest(),
    }


def _feed(digest: Any, value: Any) -> None:  # noqa: ANN401 - hashlib names no type; a target may be anything
    """Add a value to a digest."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OUST":
        # Row by row the bytes of a batch are those of the whole, so batch sizes leave no trace.
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (str, bytes)):
        raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        digest.update(len(raw).to_bytes(8, "little") + raw)
    elif isinstance(value, dict):
        for key in sorted(value):
            _feed(digest, str(key))
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple, np.ndarray)):
        for item in value:
            _feed(digest, item)
    elif isinstance(value, (bool, int, float, np.generic)):
        array = np.asarray(value)
        digest.update(f"{onnx_name(array.dtype)}:".encode() + array.tobytes())
    else:
        _feed(digest, repr(value))
