"""A Python module run in a disposable child process with limits: JSON in, JSON out, and whatever happens is an outcome.

A 110-byte model can ask for 4 GB, loop for ever or crash the process that loads it. What opens such a file runs here:
the parent sends a task, reads documents, and learns how the child ended. `onnxyard.runtimes.disposable_child` is the
other side.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use from the moment it says it begins (interpreter and imports are not counted).

    Attributes:
        memory_bytes: Address space.
        cpu_seconds: Processor time over all threads.
        wall_seconds: From start to end, imports and waiting for a busy machine included.
        file_bytes: Largest file it may write.
    """

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float
    file_bytes: int = 1 << 24


class Ending(StrEnum):
    """How a child came to its end."""

    DONE = "done"
    """By itself, with all said."""
    BUSY = "busy"
    """At its limit of processor time."""
    LATE = "late"
    """At its limit of wall-clock time."""
    BROKEN = "broken"
    """It crashed, was killed, or ended without a word."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a child.

    Attributes:
        documents: What it said, in order; all that came before a violent end too.
        ending: How it ended.
        words: The same in words, as `the child died of SIGSEGV`; empty when it is done.
    """

    documents: tuple[Any, ...]
    ending: Ending
    words: str = ""


def run_disposable(module: str, task: Mapping[str, object], limits: Limits) -> Ended:
    """Run `python -m module` as a child of its own session, and wait for its end; nothing of it is left afterwards.

    Args:
        module: Its main function starts with `onnxyard.runtimes.disposable_child.Job.receive`.
        task: JSON-compatible.
        limits: What it may use.
    """
    # What the child says on stderr goes into a file that has no name and a limit: a model that makes a runtime log
    # without end fills neither this process's memory nor the disk.
    with tempfile.TemporaryFile() as told:
        # -P: whatever lies in the working folder cannot shadow a module of the child. A session of its own: the whole
        # group can be ended, and a Ctrl-C meant for the parent does not reach it.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            start_new_session=True,
        )
        late, stdout = False, ""
        try:
            stdout, _ = child.communicate(
                json.dumps({"task": dict(task), "limits": asdict(limits)}), timeout=limits.wall_seconds
            )
        except subprocess.TimeoutExpired:
            late = True
        finally:
            rest = _end(child)
        return _ended(stdout or rest, late=late, code=child.returncode, told=told, limits=limits)


def _end(child: subprocess.Popen[str]) -> str:
    """Kill the child where it still runs; what it said until then."""
    if child.poll() is not None:
        return ""
    os.killpg(child.pid, signal.SIGKILL)
    return child.communicate()[0]


def _ended(stdout: str, *, late: bool, code: int, told: BinaryIO, limits: Limits) -> Ended:
    documents = tuple(document for line in stdout.splitlines() if (document := _document(line)) is not None)
    if late:
        return Ended(documents, Ending.LATE, f"it was stopped after {limits.wall_seconds:g} s")
    if code == -signal.SIGXCPU:
        return Ended(
            documents,
            Ending.BUSY,
            f"the child was killed (SIGXCPU), as at its limit of {limits.cpu_seconds} s of processor time",
        )
    if code == 0 and documents:
        return Ended(documents, Ending.DONE)
    return Ended(documents, Ending.BROKEN, _words(code, told))


def _document(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:  # the line it was writing when it was killed
        return None


def _words(code: int, told: BinaryIO) -> str:
    if code == -signal.SIGKILL:
        return "the child was killed (SIGKILL)"
    if code < 0:
        return f"the child died of {signal.Signals(-code).name}"
    told.seek(0, os.SEEK_END)
    told.seek(max(0, told.tell() - _LAST_BYTES))
    last = told.read().decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
    return f"the child ended with code {code} and said: {last[0][:300]}"
