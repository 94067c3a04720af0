"""Which source lines are the project's, and how they are called without naming this machine's folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from onnxyard.project.modules import UNIQUE

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_LOADED = re.compile(rf"{UNIQUE}(?P<stem>\w+)_[0-9a-f]{{16}}")


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The folders that hold the project's Python files.

    Attributes:
        roots: Resolved folders; a file is called by its path relative to the first one that holds it. There are two
            where the process loaded the same code from a copy of the project before.
    """

    roots: tuple[Path, ...]

    def name(self, file: str) -> str | None:
        """The file's path relative to the project, or None for a file of a library."""
        path = Path(file).resolve()
        return next((path.relative_to(root).as_posix() for root in self.roots if path.is_relative_to(root)), None)

    def at(self, file: str, line: int) -> str:
        """`file:line` of a line of the project; empty for a library's."""
        name = self.name(file)
        return "" if name is None else f"{name}:{line}"

    def innermost(self, stack_trace: str) -> str:
        """`file:line` of the deepest frame inside the project; empty where there is none.

        Args:
            stack_trace: As torch records it: frames as Python prints them, the deepest last.
        """
        for match in reversed(list(_FRAME.finditer(stack_trace))):
            name = self.name(match["file"])
            if name is not None:
                return f"{name}:{match['line']}"
        return ""


def plain_class(name: str) -> str:
    """A class's dotted name as its author knows it, without the unique name its module was loaded under."""
    return _LOADED.sub(lambda match: match["stem"], name)
