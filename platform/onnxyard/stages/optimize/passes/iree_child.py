"""The child that runs IREE's importer and compiler: both inherit its limits. See `iree_compile`, the other side."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import BinaryIO

from onnxyard.runtimes.disposable_child import Job

_SAID_BYTES = 1 << 16
"""A diagnostic prints the operation it is about, weights and all: its beginning tells."""


def main() -> None:
    """Run the task's commands one after the other, up to the first that fails; say how each ended."""
    job = Job.receive()
    job.begin()
    for step, arguments in job.task["steps"]:
        with tempfile.TemporaryFile() as said:
            code = _run(arguments, said)
            said.seek(0)
            job.say({"step": step, "code": code, "said": said.read(_SAID_BYTES).decode(errors="replace")})
        if code:
            break
    job.end()


def _run(arguments: list[str], said: BinaryIO) -> int:
    command = [sys.executable, "-P", "-m", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False).returncode


if __name__ == "__main__":
    main()
