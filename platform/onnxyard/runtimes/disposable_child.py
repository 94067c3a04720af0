"""The child's side of `onnxyard.runtimes.disposable`: receive a task, begin under limits, say documents, end."""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self, TextIO


@dataclass(frozen=True, slots=True)
class Job:
    """What this process is to do.

    Attributes:
        task: As the parent sent it.
    """

    task: dict[str, Any]
    _limits: dict[str, Any]
    _out: TextIO

    @classmethod
    def receive(cls) -> Self:
        """Read the task from stdin. From here on, whatever else is printed goes to stderr: stdout holds documents."""
        sent = json.load(sys.stdin)
        out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(sent["task"], sent["limits"], out)

    def begin(self) -> None:
        """Put the limits into force. Call it with everything imported: what is held until now is not counted."""
        self.allow_bytes(self._limits["memory_bytes"])
        self.allow_seconds(self._limits["cpu_seconds"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._limits["file_bytes"], self._limits["file_bytes"]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def allow_seconds(self, seconds: int) -> None:
        """Processor time from now on; at its end the kernel kills with SIGXCPU. A new task may begin a new count."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        # The soft limit alone, which sends SIGXCPU: at the hard one the end would look like anybody's SIGKILL.
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))

    def allow_bytes(self, count: int) -> None:
        """Address space beyond what is held now."""
        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (held + count, hard))

    def say(self, document: object) -> None:
        """Send one JSON-compatible document; it arrives even if this process dies right afterwards."""
        self._out.write(json.dumps(document) + "\n")
        self._out.flush()

    def end(self) -> NoReturn:
        """End without finalizers: a model that hangs on the way out is no longer our business."""
        self._out.flush()
        os._exit(0)
