"""What passes made, kept by key, so that recipes that begin alike, and runs that repeat, make it once.

```
KEY/content/...      what was made
KEY/manifest.json    path, sha256 and size of each file
KEY.lock             held while somebody looks, or makes it
.scratch-...         what is being made
```
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact

if TYPE_CHECKING:
    from collections.abc import Iterator

_MANIFEST = "manifest.json"
_IN_USE_S = 3600.0
_SCRATCH = ".scratch-"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of folders; processes may share it.

    Attributes:
        folder: Made when first written to.
    """

    folder: Path

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Nobody else looks for this key, or keeps it, in the block: who comes second finds what the first made.

        The lock is the operating system's, and goes with the process that held it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / f"{key}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def find(self, key: str) -> Path | None:
        """The folder kept under the key, verified; None where there is none. What is torn or damaged is thrown away.

        Call it inside `alone`.
        """
        entry = self.folder / key
        content = entry / "content"
        try:
            if Artifact.of_folder(content).manifest() == (entry / _MANIFEST).read_bytes():
                os.utime(entry)  # who was asked for last stays longest
                return content
        except (OSError, InvalidRequestError):  # not there, or not whole
            pass
        shutil.rmtree(entry, ignore_errors=True)
        return None

    def keep(self, key: str, made: Path) -> Path:
        """Move a folder below `scratch` into its place; where its content lies afterwards.

        Call it inside `alone`, after `find` found nothing.
        """
        entry = made.with_name(f"{made.name}.entry")
        entry.mkdir()
        (entry / _MANIFEST).write_bytes(Artifact.of_folder(made).manifest())
        made.rename(entry / "content")
        entry.rename(self.folder / key)
        return self.folder / key / "content"

    def prune(self, most_bytes: int, *, now: float) -> None:
        """Remove what was not asked for longest, until no more is left than `most_bytes`.

        What was asked for within the last hour stays in any case: a search may be reading it.

        Args:
            most_bytes: Of all entries together.
            now: Seconds since the epoch.
        """
        entries = sorted((path.parent.stat().st_mtime, path) for path in self.folder.glob(f"*/{_MANIFEST}"))
        sizes = {path: sum(each.stat().st_size for each in path.parent.rglob("*")) for _, path in entries}
        left = sum(sizes.values())
        for asked, path in entries:
            if left <= most_bytes or now - asked < _IN_USE_S:
                return
            left -= sizes[path]
            with self.alone(path.parent.name):
                shutil.rmtree(path.parent, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder to make something in that is to be kept; gone afterwards, or when the next one asks for its own."""
        with self.alone("scratch"):
            for leftover in self.folder.glob(f"{_SCRATCH}*"):
                _sweep(leftover)
            folder = Path(mkdtemp(prefix=_SCRATCH, dir=self.folder))
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)


def _sweep(leftover: Path) -> None:
    """Remove a scratch folder, unless the process that made it still lives: it holds a lock."""
    try:
        handle = os.open(leftover, os.O_RDONLY)
    except FileNotFoundError:  # its process has just cleared up by itself
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(leftover, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)
