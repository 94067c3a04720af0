"""Inputs for a disposable child: tensors in folders (`onnxyard.tensors.files`), never a pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxyard.errors import InvalidRequestError
from onnxyard.tensors.files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Tensors: TypeAlias = Mapping[str, np.ndarray]

_AT_ONCE = 2
"""A batch of one row may be something else to a model that squeezes; larger ones would take a large model's memory."""


def rows_by_two(inputs: Tensors) -> list[dict[str, np.ndarray]]:
    """All rows, two at a time, and three at the end of an odd number; as they are where first axes differ in length."""
    lengths = {len(array) if array.ndim else 0 for array in inputs.values()}
    rows = lengths.pop() if len(lengths) == 1 else 0
    starts = range(0, max(rows - 1, 1), _AT_ONCE)
    stops = [*starts[1:], rows]
    if rows <= _AT_ONCE:
        return [dict(inputs)]
    return [{n: array[start:stop] for n, array in inputs.items()} for start, stop in zip(starts, stops, strict=True)]


@contextmanager
def laid_out(inputs: Sequence[Tensors]) -> Iterator[list[str]]:
    """Each set of inputs in a folder of its own, as long as the context lasts.

    Inputs that ONNX has no type for end the list: no model takes them, here or there.

    Raises:
        StorageFullError: no space is left.
    """
    if not inputs:
        yield []
        return
    with TemporaryDirectory(prefix="onnxyard-inputs-") as scratch:
        folders = [Path(scratch, f"{number:04d}") for number in range(len(inputs))]
        written = []
        for folder, tensors in zip(folders, inputs, strict=True):
            try:
                write_tensors(folder, tensors)
            except InvalidRequestError:
                break
            written.append(os.fspath(folder))
        yield written
