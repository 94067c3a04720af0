"""A rehearsal: open a model file in a disposable child process before anything real depends on it.

A 110-byte model can ask for 4 GB, loop for ever or crash the process that loads it. The child has limits on memory,
processor time and wall-clock time; whatever happens to it, the parent gets a report or one clear error.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from onnxyard.errors import (
    ArtifactCorruptError,
    GateFailedError,
    InvalidRequestError,
    MissingExtraError,
    UnsupportedModelError,
)
from onnxyard.lifecycle.setup import Setup
from onnxyard.runtimes.disposable import Ending, Limits, run_disposable

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature

TOLERANCE = 1e-3
"""Largest difference a replay may show, relative to the output's largest absolute value (and absolute below 1)."""
TOLERANCES = {"fp16": 8 * 2**-11, "bf16": 8 * 2**-8}
"""Where floats are rounded to fewer bits, processors of other kinds differ by some steps of them: eight are allowed."""
CPU = Setup("onnxruntime", "CPUExecutionProvider", threads=1)

_ERRORS = {
    error.code: error
    for error in (
        ArtifactCorruptError,
        GateFailedError,
        InvalidRequestError,
        MissingExtraError,
        UnsupportedModelError,
    )
}
_MIB = 1 << 20
_MEMORY_PER_FILE_BYTE = 4
"""The parsed file, its weights, their packed copies and the external data mapped in: a large model may be large."""


@dataclass(frozen=True, slots=True)
class RehearsalLimits:
    """What the child may use.

    Attributes:
        memory_bytes: Address space beyond four times the model's files and what the interpreter and the runtime hold
            before the model is opened.
        cpu_seconds: Processor time over all threads.
        wall_seconds: From start to report.
    """

    memory_bytes: int = 2048 * _MIB
    cpu_seconds: int = 60
    wall_seconds: float = 60.0


DEFAULT_LIMITS = RehearsalLimits()


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """What the child saw.

    Attributes:
        runtime: As `onnxruntime 1.32.0`.
        provider: The provider that really ran the model.
        precision: As `fp32` or `int8`: the graph's; where that is fp32, what the setup computes it in.
        max_error: Largest absolute difference between the replay and what was expected.
        rows: Golden rows replayed.
    """

    runtime: str
    provider: str
    precision: str
    max_error: float
    rows: int


def rehearse(
    model_file: Path,
    *,
    inputs: Path,
    expected: Path,
    setup: Setup = CPU,
    signature: Signature | None = None,
    limits: RehearsalLimits = DEFAULT_LIMITS,
) -> RehearsalReport:
    """Load `model_file` in a child, check its signature and replay the golden set.

    Args:
        model_file: The ONNX file, its digest verified.
        inputs: Folder of the model's inputs (`onnxyard.tensors.files`).
        expected: Folder of the outputs they must give.
        setup: How it must run; ONNX Runtime on one core by default.
        signature: The graph's signature as recorded; None where only the replay matters.
        limits: What the child may use.

    Raises:
        UnsupportedModelError: it cannot be loaded, has another signature, or broke a limit or the child.
        ArtifactCorruptError: the file or the golden set is not readable.
        GateFailedError: the replay differs from what was expected.
        InvalidRequestError: the runtime knows no such options.
        MissingExtraError: the runtime or the provider is not installed.
    """
    task = {
        "model_file": os.fspath(model_file.resolve()),
        "inputs": os.fspath(inputs.resolve()),
        "expected": os.fspath(expected.resolve()),
        "setup": asdict(setup),
        "signature": None if signature is None else asdict(signature),
    }
    memory = limits.memory_bytes + _MEMORY_PER_FILE_BYTE * _size(model_file.parent)
    ended = run_disposable(
        "onnxyard.runtimes.rehearsal_child", task, Limits(memory, limits.cpu_seconds, limits.wall_seconds)
    )
    if ended.ending is Ending.LATE:
        raise UnsupportedModelError(
            f"The model did not finish its rehearsal in {limits.wall_seconds:g} s and was stopped.",
            where=str(model_file),
        )
    if ended.ending is not Ending.DONE:
        raise UnsupportedModelError(f"The model broke its rehearsal: {ended.words}.", where=str(model_file))
    answer = ended.documents[-1]
    if "error" in answer:
        error = _ERRORS[answer["error"]]
        raise error(answer["detail"], where=answer["where"], remedy=answer["remedy"], **answer["facts"])
    return RehearsalReport(**answer)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0
