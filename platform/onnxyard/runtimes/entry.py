"""Which file of a model's folder a runtime opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import ArtifactCorruptError

if TYPE_CHECKING:
    from pathlib import Path

ENTRY_FILES = ("model.onnx", "model.ort", "model.vmfb", "model.nnef.tgz")
"""ONNX, and what it is compiled to."""


def entry_file(folder: Path) -> Path:
    """The model's entry file. Raises ArtifactCorruptError where the folder holds none."""
    for name in ENTRY_FILES:
        if (folder / name).is_file():
            return folder / name
    raise ArtifactCorruptError(f"The folder holds no model ({', '.join(ENTRY_FILES)}).", where=str(folder))
