"""What every split must be before anything is learnt from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError, UserCodeError
from onnxyard.tensors.dtypes import is_floating, numpy_dtype, onnx_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from onnxyard.project.data import Splits
    from onnxyard.project.protocols import Tensors
    from onnxyard.project.split import Split


def check_splits(splits: Splits, missing: Collection[str] = ()) -> None:
    """Refuse splits that cannot be used. Splits in memory are read whole, of streamed ones only the first batch:
    the rest is checked as it passes (`check_batch`).

    Args:
        splits: What `data` gave.
        missing: The inputs in which NaN stands for a missing value (`[project] missing`).

    Raises:
        UserCodeError: a split is empty, an input is NaN or infinite, has a type ONNX lacks, or differs between splits
            in name, type or shape; or `missing` names an input that is not there or cannot be missing.
    """  # noqa: D205
    wanted: dict[str, tuple[str, tuple[int, ...]]] | None = None
    for name, split in splits:
        first = _first(name, split)
        found = layout_of(first)
        check_batch(name, first, missing)
        if wanted is None:
            _check_missing(missing, found)
            wanted = found
        elif found != wanted:
            raise UserCodeError(
                f"The {name} split looks different from train: {_shown(found)} instead of {_shown(wanted)}.",
                remedy="Every split must have the same inputs, with the same types and shapes.",
            )


def check_batch(split: str, inputs: Tensors, missing: Collection[str] = ()) -> None:
    """Refuse infinity, non-text among strings, and NaN but in the inputs named in `missing`.

    Raises:
        UserCodeError: naming split, input and first row.
    """
    for name, values in inputs.items():
        if values.dtype.kind == "O":
            bad = np.array([not isinstance(value, str) for value in values.ravel()], dtype=bool).reshape(values.shape)
            what = "something that is no text"
        elif is_floating(values.dtype):
            wide = values.astype(np.float32) if values.dtype.kind == "V" else values
            bad = np.isinf(wide) if name in missing else ~np.isfinite(wide)
            what = "infinity" if name in missing else "NaN or infinity"
        else:
            continue
        rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1)) if values.size else np.zeros(0)
        if len(rows):
            raise UserCodeError(
                f"Input {name!r} of the {split} split holds {what} in {len(rows)} of {len(values)} rows, "
                f"first in row {rows[0]}.",
                remedy="Clean the rows in `data` before it returns them, or name the input in [project] missing "
                "where NaN (or an empty text) stands for a missing value.",
            )


def layout_of(inputs: Tensors) -> dict[str, tuple[str, tuple[int, ...]]]:
    """ONNX dtype and shape of one row, by input name. Raises UserCodeError for a dtype that ONNX lacks."""
    try:
        return {name: (onnx_name(values.dtype), values.shape[1:]) for name, values in inputs.items()}
    except InvalidRequestError as error:
        raise UserCodeError(f"An input cannot go into an ONNX model: {error.detail}", remedy=error.remedy) from error


def _check_missing(missing: Collection[str], layout: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    for name in missing:
        if name not in layout:
            raise UserCodeError(
                f"There is no input {name!r} that could be missing.",
                where="[project] missing",
                remedy=f"`data` gives {', '.join(layout)}.",
            )
        dtype = layout[name][0]
        if dtype != "STRING" and not is_floating(numpy_dtype(dtype)):
            raise UserCodeError(
                f"The input {name!r} is {dtype}, which has no NaN to stand for a missing value.",
                where="[project] missing",
                remedy="Give it as float32 or float64.",
            )


def _first(name: str, split: Split) -> Tensors:
    from onnxyard.project.split import StreamedSplit  # noqa: PLC0415 - split.py needs nothing of this module

    if not isinstance(split, StreamedSplit):
        if not len(split):
            raise _empty(name)
        return split.inputs
    for batch in split.batches(1):
        return batch.inputs
    raise _empty(name)


def _empty(name: str) -> UserCodeError:
    remedy = "Give it rows" if name == "train" else "Give it rows, or leave it out and it is split off train"
    return UserCodeError(f"The {name} split is empty.", remedy=f"{remedy}.")


def _shown(layout: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {dtype}{['rows', *shape]}".replace("'", "") for name, (dtype, shape) in layout.items())
