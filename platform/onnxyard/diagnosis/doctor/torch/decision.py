"""Where two walks part: the line of the branch or loop that sends them different ways."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from onnxyard.diagnosis.doctor.torch.walk import TO_PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.diagnosis.doctor.torch.walk import Call, Walk

    Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two walks part.

    Attributes:
        branch: Whether they go different ways; otherwise only a number differs that was taken from a tensor.
        module: Path of the module that was running.
        source: `file:line`; empty where unknown.
    """

    branch: bool
    module: str
    source: str


def parting(example: Walk, other: Walk, read: Read, *, same_shapes: bool) -> Parting | None:
    """Compare two walks; None where nothing that Python sees differs.

    Args:
        example: The walk that was exported.
        other: Another one.
        read: Gives the text of a source file by the name that the walks use.
        same_shapes: Whether both had inputs of the same shapes, so that numbers are expected to be the same too.
    """
    number: Parting | None = None
    for one, two in zip_longest(example.calls, other.calls):
        if one is None or two is None:  # the shorter walk came to its end after its last call
            return _branch(one or _last(example), two or _last(other), read)
        if (one.function, one.stack) != (two.function, two.stack):
            return _branch(one, two, read)
        if one.numbers != two.numbers and number is None and (same_shapes or one.function in TO_PYTHON):
            if one.function == "__bool__":
                return Parting(branch=True, module=one.module, source=one.source)
            number = Parting(branch=False, module=one.module, source=one.source)
    return number


def _last(walk: Walk) -> Call | None:
    return walk.calls[-1] if walk.calls else None


def _branch(one: Call | None, two: Call | None, read: Read) -> Parting:
    shown = one or two
    assert shown is not None  # noqa: S101 - the longer walk has a call there
    ours, theirs = (call.stack if call is not None else () for call in (one, two))
    # Of calls that are made by the same line, as in another round of a loop, the line alone tells.
    pair = next(((a, b) for a, b in zip_longest(ours, theirs) if a != b), (shown.source, None))
    line = _decision(pair[0], pair[1], read)
    return Parting(branch=True, module=shown.module, source=line or pair[0] or pair[1] or "")


def _decision(one: str | None, two: str | None, read: Read) -> str | None:
    """The first branch or loop that holds one of the lines in a part that does not hold the other."""
    file = (one or two or "").rpartition(":")[0]
    if not file:
        return None
    lines = [int(place.rpartition(":")[2]) for place in (one, two) if place and place.startswith(f"{file}:")]
    try:
        tree = ast.parse(read(file))
    except (OSError, SyntaxError, ValueError):
        return None
    for statement in _decisions(tree):
        held = {_part(statement, line) for line in lines} | ({None} if len(lines) < 2 else set())
        if len(held) > 1 and not (held == {"orelse", None} and _is_elif(statement)):
            return f"{file}:{statement.lineno}"
    return None


def _decisions(tree: ast.AST) -> list[ast.If | ast.For | ast.While | ast.IfExp]:
    """In the order of their lines: outer ones come before inner ones."""
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.If, ast.For, ast.While, ast.IfExp))]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _is_elif(node: ast.AST) -> bool:
    """Whether another decision is all there is behind `else`: then that one sends the walks their ways."""
    behind = getattr(node, "orelse", [])
    return isinstance(behind, list) and len(behind) == 1 and isinstance(behind[0], ast.If)


def _part(node: ast.If | ast.For | ast.While | ast.IfExp, line: int) -> str | None:
    for name in ("body", "orelse"):
        part = getattr(node, name)
        inside = part if isinstance(part, list) else [part]
        if inside and inside[0].lineno <= line <= (inside[-1].end_lineno or line):
            return name
    return None
