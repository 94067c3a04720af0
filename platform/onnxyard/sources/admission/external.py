"""Weights in files of their own: they lie beside the model, and are what the model says.

A location is a text in a foreign file. ONNX Runtime follows it, hard links too, so that a model could read any file
of the machine into its answers. Specification: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from onnxyard.sources.admission.graphs import bytes_of, every_tensor
from onnxyard.sources.admission.refusal import Refusal, in_units, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "external-data"


def data_files(model: onnx.ModelProto) -> tuple[str, ...]:
    """The locations that the model's tensors name, each once, sorted."""
    return tuple(sorted({_entries(tensor).get("location", "") for tensor in _external(model)}))


def refuse_external_data(model: onnx.ModelProto, folder: Path) -> Iterator[Refusal]:
    """One refusal per location that may not be read, or tensor that does not fit its file.

    Args:
        model: The parsed model.
        folder: Where the model file lies.
    """
    told: dict[str, str] = {}
    for tensor in _external(model):
        entries = _entries(tensor)
        location = entries.get("location", "")
        if location not in told:
            told[location] = _bad_location(location, folder)
            if told[location]:
                yield Refusal(
                    CODE,
                    f"The weights of {printable(tensor.name)!r} lie in {printable(location)!r}, {told[location]}.",
                    "Bring the model with its data files in one folder, as plain files: onnx.load and onnx.save_model "
                    "with save_as_external_data=True write such a pair.",
                    node=printable(tensor.name),
                )
        if not told[location] and (bad := _bad_extent(tensor, entries, (folder / location).stat().st_size)):
            yield Refusal(
                CODE,
                f"The weights of {printable(tensor.name)!r} do not fit {printable(location)!r}: {bad}.",
                "The data file is cut short or belongs to another model: export or download both again.",
                node=printable(tensor.name),
            )


def _external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    return (tensor for tensor in every_tensor(model) if tensor.data_location == onnx.TensorProto.EXTERNAL)


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _bad_location(location: str, folder: Path) -> str:
    """What is wrong with it, in words; empty where nothing is."""
    path = Path(location)
    if not location or "\x00" in location or location in {".", ".."}:
        return "which is no file's name"
    if path.is_absolute() or location.startswith("\\") or location[1:2] == ":":
        return "an absolute path"
    if ".." in path.parts or "\\" in location:
        return "outside the model's folder"
    return _bad_file([folder.joinpath(*path.parts[: count + 1]) for count in range(len(path.parts))])


def _bad_file(steps: list[Path]) -> str:
    """The same of what lies there: the file is the last step, the others lead to it."""
    try:
        kinds = [os.lstat(step) for step in steps]
    except OSError:
        return "which does not exist"
    if any(stat.S_ISLNK(kind.st_mode) for kind in kinds):
        return "a symbolic link"
    if not stat.S_ISREG(kinds[-1].st_mode):
        return "which is no plain file"
    if kinds[-1].st_nlink > 1:
        return "a hard link: another file of this machine may be behind it"
    return ""


def _bad_extent(tensor: onnx.TensorProto, entries: dict[str, str], size: int) -> str:
    needed = bytes_of(math.prod(tensor.dims), tensor.data_type)
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(needed)))
    except ValueError:
        return "its offset or length is no number"
    if offset < 0 or length < 0 or offset + length > size:
        return f"bytes {offset} to {offset + length} are asked for, and the file has {in_units(size)}"
    if length != needed:
        return f"{length} bytes are named where {list(tensor.dims)} needs {needed}"
    return ""
