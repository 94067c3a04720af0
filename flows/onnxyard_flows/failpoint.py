"""A failure that tests can order; unset, which is everywhere but in tests, it does nothing.

`ONNXYARD_FAILPOINT=export` kills the process (SIGKILL) inside that stage, once it has written its first file.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLE = "ONNXYARD_FAILPOINT"


def armed(stage: str) -> bool:
    """Whether the environment orders this stage's death."""
    return os.environ.get(VARIABLE) == stage


def die(stage: str) -> None:
    """End the process as a power failure would, where that was ordered."""
    if armed(stage):
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def failpoint(stage: str, workspace: Path) -> Iterator[None]:
    """Around a stage's body: die as soon as there is a file in `workspace`, at the latest when the body is through."""
    if not armed(stage):
        yield
        return
    through = threading.Event()

    def watch() -> None:
        while not through.wait(0.001) and not any(path.is_file() for path in workspace.rglob("*")):
            pass
        die(stage)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        through.set()
        watcher.join()
