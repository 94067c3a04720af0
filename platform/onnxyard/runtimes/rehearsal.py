"""A rehearsal: open a model file in a disposable child process before anything real depends on it.

A 110-byte model can ask for 4 GB, loop for ever or crash the process that loads it. The child has limits on memory,
processor time and wall-clock time; whatever happens to it, the parent gets a report or one clear error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from onnxyard.errors import ArtifactCorruptError, GateFailedError, InvalidRequestError, UnsupportedModelError

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature

TOLERANCE = 1e-3
"""Largest difference a replay may show, relative to the output's largest absolute value (and absolute below 1)."""

_ERRORS = {
    error.code: error for error in (ArtifactCorruptError, GateFailedError, InvalidRequestError, UnsupportedModelError)
}
_MIB = 1 << 20


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
        precision: As `fp32` or `int8`.
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
    runtime: str = "onnxruntime",
    provider: str = "CPUExecutionProvider",
    threads: int = 1,
    signature: Signature | None = None,
    limits: RehearsalLimits = DEFAULT_LIMITS,
) -> RehearsalReport:
    """Load `model_file` in a child, check its signature and replay the golden set.

    Args:
        model_file: The ONNX file, its digest verified.
        inputs: Folder of the model's inputs (`onnxyard.tensors.files`).
        expected: Folder of the outputs they must give.
        runtime: `onnxruntime` or `openvino`.
        provider: The provider that must run it.
        threads: Intra-op threads.
        signature: The graph's signature as recorded; None where only the replay matters.
        limits: What the child may use.

    Raises:
        UnsupportedModelError: it cannot be loaded, has another signature, or broke a limit or the child.
        ArtifactCorruptError: the file or the golden set is not readable.
        GateFailedError: the replay differs from what was expected.
    """
    task = {
        "model_file": os.fspath(model_file.resolve()),
        "inputs": os.fspath(inputs.resolve()),
        "expected": os.fspath(expected.resolve()),
        "runtime": runtime,
        "provider": provider,
        "threads": threads,
        "signature": None if signature is None else asdict(signature),
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
    }
    # -P: whatever lies in the working folder cannot shadow a module of the child. A session of its own: the whole
    # group can be ended, and a Ctrl-C meant for the parent does not reach it.
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "onnxyard.runtimes.rehearsal_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = child.communicate(json.dumps(task), timeout=limits.wall_seconds)
    except subprocess.TimeoutExpired:
        raise UnsupportedModelError(
            f"The model did not finish its rehearsal in {limits.wall_seconds:g} s and was stopped.",
            where=str(model_file),
        ) from None
    finally:
        _end(child)
    return _read(stdout, stderr, child.returncode, model_file, limits)


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _read(stdout: str, stderr: str, code: int, model_file: Path, limits: RehearsalLimits) -> RehearsalReport:
    try:
        answer = json.loads(stdout)
    except ValueError:
        raise UnsupportedModelError(
            f"The model broke its rehearsal: {_ending(code, stderr, limits)}.", where=str(model_file)
        ) from None
    if "error" in answer:
        error = _ERRORS[answer["error"]]
        raise error(answer["detail"], where=answer["where"], remedy=answer["remedy"], **answer["facts"])
    return RehearsalReport(**answer)


def _ending(code: int, stderr: str, limits: RehearsalLimits) -> str:
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        name = signal.Signals(-code).name
        return f"the child was killed ({name}), as at its limit of {limits.cpu_seconds} s of processor time"
    if code < 0:
        return f"the child died of {signal.Signals(-code).name}"
    last = stderr.strip().splitlines()[-1:] or ["no word"]
    return f"the child ended with code {code} and said: {last[0][:300]}"
