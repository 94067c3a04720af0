"""The data's fingerprint, read batch by batch: the same rows give the same digest, however they are batched."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import UserCodeError
from onnxyard.lifecycle.digest import digest_of
from onnxyard.project.checks import check_batch, layout_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from onnxyard.project.data import Splits
    from onnxyard.project.protocols import Targets
    from onnxyard.project.split import Split

_ROWS = 1024


def fingerprint(splits: Splits, missing: Collection[str] = ()) -> tuple[str, dict[str, int]]:
    """Digest every row of every split, and count them. Each batch is checked as it passes.

    Args:
        splits: The project's.
        missing: The inputs in which NaN stands for a missing value.

    Returns:
        sha256 (64 hex digits) over every split's inputs and targets; rows by split.

    Raises:
        UserCodeError: an input that is not in `missing` holds NaN, or one changes its type or shape from one batch to
            the next.
    """
    documents, rows = {}, {}
    for name, split in splits:
        documents[name] = _of_split(name, split, missing)
        rows[name] = len(split)
    return digest_of(documents), rows


def _of_split(name: str, split: Split, missing: Collection[str]) -> dict[str, object]:
    layout: dict[str, tuple[str, tuple[int, ...]]] | None = None
    inputs: dict[str, Any] = {}
    targets = _Targets()
    for batch in split.batches(_ROWS):
        found = layout_of(batch.inputs)
        if layout is None:
            layout, inputs = found, {key: hashlib.sha256() for key in found}
        elif found != layout:
            raise UserCodeError(f"The inputs of the {name} split change from one batch to the next: {layout}, {found}.")
        check_batch(name, batch.inputs, missing)
        for key, values in batch.inputs.items():
            if values.dtype.kind == "O":
                for text in values.ravel().tolist():
                    _feed(inputs[key], text)
            else:
                inputs[key].update(np.ascontiguousarray(values).tobytes())
        targets.feed(batch.targets)
    return {
        "inputs": {key: [*(layout or {})[key], digest.hexdigest()] for key, digest in inputs.items()},
        "targets": targets.digest.hexdigest(),
    }


class _Targets:
    """Digests targets so that the sizes of batches leave no trace: an array's type and row shape are told once."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._header = b""

    def feed(self, targets: Targets) -> None:
        if not isinstance(targets, np.ndarray) or targets.dtype.kind in "OUST":
            for target in targets:
                _feed(self.digest, target)
            return
        header = f"{targets.dtype.str}{targets.shape[1:]}".encode()
        if header != self._header:
            self.digest.update(header)
            self._header = header
        self.digest.update(np.ascontiguousarray(targets).tobytes())


def _feed(digest: Any, value: Any) -> None:  # noqa: ANN401 - hashlib names no type; a target may be anything
    """Add one value with its kind and length, so that no two values add the same bytes.

    Raises:
        UserCodeError: the value has no content that could be digested.
    """
    if value is None:
        digest.update(b"none")
    elif isinstance(value, (str, bytes)):
        raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        digest.update(type(value).__name__.encode() + len(raw).to_bytes(8, "little") + raw)
    elif isinstance(value, dict):
        _feed(digest, [[str(key), value[key]] for key in sorted(value, key=str)])
    elif isinstance(value, (list, tuple)):
        digest.update(b"list" + len(value).to_bytes(8, "little"))
        for item in value:
            _feed(digest, item)
    else:
        array = np.asarray(value)  # numbers, arrays, and what can be seen as one, as a torch tensor
        if array.dtype.kind not in "OUST":
            digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
        elif array.ndim:
            _feed(digest, array.tolist())
        else:
            raise UserCodeError(
                f"Targets hold a {type(value).__name__}, whose content cannot be told.",
                remedy="Use numbers, texts, arrays, and lists or dicts of them.",
            )
