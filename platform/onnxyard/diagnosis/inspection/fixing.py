"""Mending a ready .onnx file: a new file beside it, never in place."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from onnxyard.diagnosis.file_codes import ABOVE_CEILING
from onnxyard.diagnosis.inspection.fixes import FIXES, fix_of
from onnxyard.errors import ConflictError, UnsupportedModelError
from onnxyard.runtimes.disposable import Ending, Limits, run_disposable
from onnxyard.sources.admission.admitting import admit, broke

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORDER = [*FIXES, ABOVE_CEILING.name]
_MEMORY_BYTES = 2 << 30
_MEMORY_PER_FILE_BYTE = 8
"""The model, a changed copy of it, both as sessions."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a file.

    Attributes:
        file: The new file; None where no remedy held.
        applied: By code: the largest relative difference that its proof measured.
        refused: By code: why its remedy was not applied.
    """

    file: Path | None
    applied: dict[str, float]
    refused: dict[str, str]


def fix_file(file: Path, codes: Iterable[str], output: Path, *, ceiling: str | None = None) -> Mended:
    """Apply the remedies of some findings, each proven on made-up inputs in a disposable child, and write a new file.

    Args:
        file: The file that was inspected; it stays as it is.
        codes: The codes of findings that have a `fix`.
        output: The file to write; where weights lie in a file of their own, that one goes beside it.
        ceiling: The ONNX Runtime release that `above-ceiling` was measured against.

    Raises:
        InvalidRequestError: there is no remedy for a code that can be applied.
        ConflictError: something lies at `output` already.
        UnsupportedModelError, ArtifactCorruptError, NotFoundError: the file cannot be opened.
    """
    wanted = sorted(set(codes), key=lambda code: _ORDER.index(code) if code in _ORDER else len(_ORDER))
    for code in wanted:
        fix_of(code, ceiling)
    data = output.with_name(f"{output.name}.data")
    for path in (output, data):
        if path.exists():
            raise ConflictError("There is a file already.", where=str(path), remedy="Name a new file.")
    admitted = admit(file)
    whole = file.stat().st_size + sum((file.parent / name).stat().st_size for name in admitted.data_files)
    memory = _MEMORY_BYTES + _MEMORY_PER_FILE_BYTE * whole
    scratch = Path(mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        task = {
            "file": os.fspath(file.absolute()),
            "output": os.fspath(scratch.absolute() / output.name),
            "codes": wanted,
            "ceiling": ceiling,
            "memory_bytes": memory,
        }
        limits = Limits(memory, cpu_seconds=60, wall_seconds=600, file_bytes=2 * whole + (1 << 24))
        ended = run_disposable("onnxyard.diagnosis.inspection.fixing_child", task, limits)
        if ended.ending is not Ending.DONE:
            refusal = broke(ended)
            raise UnsupportedModelError(refusal.what, where=str(file), remedy=refusal.remedy)
        held = [document for document in ended.documents if "folder" in document]
        if held:
            _move(scratch / held[-1]["folder"], output.parent)
        refused = {document["code"]: document["why"] for document in ended.documents if "why" in document}
        return Mended(output if held else None, {document["code"]: document["error"] for document in held}, refused)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(made: Path, folder: Path) -> None:
    """The weights first: a model without them would be half a file."""
    for path in sorted(made.iterdir(), key=lambda path: path.suffix != ".data"):
        path.rename(folder / path.name)
