"""A project's splits, handed to a process in another environment: tensors in folders, one for each block of rows.

    FOLDER/NAME/0000/inputs/    tensors, one per input
    FOLDER/NAME/0000/targets/   tensors: `targets` where they are an array, `values` and `shapes` where they are a list
    FOLDER/splits.json          {"train": {"blocks": 2, "streamed": false}, ...}

Uses numpy and onnx alone, because the other side has little more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import UserCodeError
from onnxyard.project.data import Split, Splits
from onnxyard.project.split import Batch, StreamedSplit
from onnxyard.tensors.files import read_tensors, write_bytes, write_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.project.protocols import Targets

_INDEX = "splits.json"
_BLOCK = 4096
"""Rows of a streamed split that lie in memory at a time."""


def write_splits(folder: Path, splits: Splits) -> None:
    """Write every split below `folder`.

    Raises:
        UserCodeError: targets that are no array, nor a list of arrays of one type and rank.
        StorageFullError: no space is left.
    """
    index = {}
    for name, split in splits:
        streamed = isinstance(split, StreamedSplit)
        blocks = 0
        for blocks, batch in enumerate(split.batches(_BLOCK if streamed else max(1, len(split))), start=1):
            block = folder / name / f"{blocks - 1:04d}"
            write_tensors(block / "inputs", batch.inputs)
            write_tensors(block / "targets", _told(batch.targets))
        index[name] = {"blocks": blocks, "streamed": streamed}
    write_bytes(folder / _INDEX, json.dumps(index).encode())


def read_splits(folder: Path) -> Splits:
    """The splits again: those that were in memory in memory, those that were streamed from disk, block by block.

    Raises:
        ArtifactCorruptError: a file is missing or broken.
    """
    index = json.loads((folder / _INDEX).read_bytes())
    made: dict[str, Split] = {}
    for name, told in index.items():
        blocks = _Blocks(folder / name, told["blocks"])
        made[name] = StreamedSplit(blocks) if told["streamed"] else Split(*next(iter(blocks)))
    return Splits(**made)


class _Blocks:
    """The blocks of one split, read anew each time."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count

    def __iter__(self) -> Iterator[Batch]:
        for number in range(self._count):
            block = self._folder / f"{number:04d}"
            yield Batch(read_tensors(block / "inputs"), _heard(read_tensors(block / "targets")))


def _told(targets: Targets) -> dict[str, np.ndarray]:
    """Targets as tensors; a list, whose elements may differ in shape, as all values in a row and the shape of each."""
    if isinstance(targets, np.ndarray):
        return {"targets": targets}
    arrays = [np.asarray(target) for target in targets]
    arrays = [array.astype(object) if array.dtype.kind in "UT" else array for array in arrays]
    if len({(array.dtype, array.ndim) for array in arrays}) != 1:
        raise UserCodeError(
            "The targets are a list whose elements differ in type or rank, which cannot be handed to a toolchain.",
            remedy="Give an array, or a list of arrays of one type and rank.",
        )
    shapes = np.array([array.shape for array in arrays], dtype=np.int64).reshape(len(arrays), arrays[0].ndim)
    return {"values": np.concatenate([array.ravel() for array in arrays]), "shapes": shapes}


def _heard(tensors: dict[str, np.ndarray]) -> Targets:
    if "targets" in tensors:
        return tensors["targets"]
    shapes = [tuple(shape) for shape in tensors["shapes"].tolist()]
    ends = np.cumsum([np.prod(shape, dtype=np.int64) for shape in shapes])
    parts = np.split(tensors["values"], ends[:-1])
    return [part.reshape(shape)[()] for part, shape in zip(parts, shapes, strict=True)]
