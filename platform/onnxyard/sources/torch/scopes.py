"""Where torch's legacy exporter says something came from: a module's path from its scopes, frames from its notes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnxyard.sources.torch.tree import SourceTree

_FRAME = re.compile(r"^(?P<file>.+)\((?P<line>\d+)\): ", re.MULTILINE)
_REPEATED = re.compile(r"_\d+$")


def module_path(scopes: Sequence[str], modules: Iterable[str]) -> str:
    """The path of the innermost module, as `body.0` from the scopes `body`, `body.0`.

    Args:
        scopes: From the outside in. Torch names each by the last part of its path that is not a number and what
            follows, leaves containers out that are never called, and numbers repeated calls (`body_1`).
        modules: All paths of the model.
    """
    paths = [path for path in modules if path]
    found = ""
    for scope in scopes:
        below = [path for path in paths if path.startswith(f"{found}." if found else "")]
        known: Mapping[str, str] = {_scope(path): path for path in sorted(below, key=len, reverse=True)}
        inner = known.get(scope) or known.get(_REPEATED.sub("", scope))
        if inner is None:
            break
        found = inner
    return found


def innermost(frames: str, source: SourceTree) -> str:
    """`file:line` of the deepest frame inside the project; empty where there is none.

    Args:
        frames: As torch's C++ prints them, the deepest first: `FILE(LINE): FUNCTION`.
        source: Says which files are the project's.
    """
    places = (source.at(frame["file"], int(frame["line"])) for frame in _FRAME.finditer(frames))
    return next((place for place in places if place), "")


def _scope(path: str) -> str:
    parts = path.split(".")
    start = max((at for at, part in enumerate(parts) if not part.isnumeric()), default=0)
    return ".".join(parts[start:])
