"""What a child process says on stderr: kept in a log file, its end kept at hand, whatever amount comes."""

from __future__ import annotations

import os
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LARGEST_LOG = 8 << 20
"""Bytes of one log file; what comes after is read and dropped: a talkative child neither blocks nor fills the disk."""
_AT_HAND = 64 << 10
_PATIENCE_S = 5.0
"""A process that left its group may hold the stream open for as long as it likes."""


class Transcript:
    """Reads a stream to its end in a thread of its own.

    Args:
        stream: The read end of the child's pipe; closed at its end.
        file: The log file, written at its end; its folder is made.
        said: Called with each line, from the reading thread.
    """

    def __init__(self, stream: IO[bytes], file: Path, said: Callable[[str], None] | None = None) -> None:
        self.file = file
        self._stream = stream
        self._said = said
        self._tail = b""
        self._line = b""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._log = file.open("ab", buffering=0)
        self._left = LARGEST_LOG
        self._thread = threading.Thread(target=self._read, name=f"transcript of {file.name}", daemon=True)
        self._thread.start()

    def close(self, *, keep: bool) -> None:
        """Wait for the stream's end (the child must be gone); without `keep` the log file goes."""
        self._thread.join(_PATIENCE_S)
        if not keep:
            self.file.unlink(missing_ok=True)

    @property
    def text(self) -> str:
        """The last 64 KiB that were said so far."""
        return self._tail.decode(errors="replace")

    def last_lines(self, count: int = 5) -> str:
        """The last lines that say something, one under the other."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return "\n".join(line[:500] for line in lines[-count:])

    def _read(self) -> None:
        with self._stream, self._log:
            while chunk := os.read(self._stream.fileno(), 1 << 16):
                self._tail = (self._tail + chunk)[-_AT_HAND:]
                self._write(chunk)
                if self._said is not None:
                    *lines, self._line = (self._line + chunk)[-_AT_HAND:].split(b"\n")
                    for line in lines:
                        self._said(line.decode(errors="replace"))

    def _write(self, chunk: bytes) -> None:
        if not self._left:
            return
        try:
            self._log.write(chunk[: self._left])
        except OSError:  # a full disk must not stop the reading: the child would wait for ever
            self._left = 0
        else:
            self._left = max(0, self._left - len(chunk))
