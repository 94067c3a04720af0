"""Mistakes in `[[preprocess]]` and `[[postprocess]]`, in words: each step has keys of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from onnxyard.processing.flow import BACK, FRONT, OLDEST_OPSET
from onnxyard.processing.steps import BY_NAME
from onnxyard.project.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from onnxyard.project.positions import KeyPath

SIDES = (FRONT, BACK)
_FILES = ("vocabulary", "merges")
"""Keys of steps that name files."""


def explained_step(detail: ErrorDetails) -> tuple[KeyPath, str]:
    """One of pydantic's errors below `preprocess` or `postprocess`, in our words.

    Returns:
        The path as in the document (pydantic puts the step's name into it), and what is wrong.
    """
    path: KeyPath = detail["loc"]
    kind, given = detail["type"], detail["input"]
    if len(path) == 1:
        return path, f"expected a list of tables [[{path[0]}]]"
    if kind == "union_tag_not_found":
        return path, f"step is missing{nearest('', BY_NAME)}"
    if len(path) == 2:
        name = given.get("step") if isinstance(given, dict) else given
        return (*path, "step"), f"there is no step {name!r}{nearest(str(name), BY_NAME)}"
    fields = BY_NAME[str(path[2])].model_fields
    place, key = (*path[:2], *path[3:]), str(path[3])
    if kind == "extra_forbidden":
        return place, f"unknown key{nearest(key, set(fields) - {'step'})}"
    expected = _description(fields[key].annotation) if fields[key].description is None else fields[key].description
    return place, f"missing; expected {expected}" if kind == "missing" else f"expected {expected}, got {given!r:.60}"


def shown_step(path: KeyPath) -> str:
    """A path below a step, as `[[preprocess]] step 1, size`."""
    assert isinstance(path[1], int)  # noqa: S101 - whoever calls has looked
    inner = "".join(f"[{part}]" if isinstance(part, int) else f", {part}" for part in path[2:])
    return f"[[{path[0]}]] step {path[1] + 1}{inner}"


def step_disagreements(document: Mapping[str, Any], root: Path) -> Iterator[tuple[KeyPath, str]]:
    """Files that steps name and `root` does not hold, and an opset that is too old for steps."""
    steps = [
        (side, number, step)
        for side in SIDES
        if isinstance(document.get(side), list)
        for number, step in enumerate(document[side])
        if isinstance(step, dict)
    ]
    for side, number, step in steps:
        for key in _FILES:
            name = step.get(key)
            if not isinstance(name, str) or not name:
                continue
            if name.startswith("/") or ".." in name.split("/"):
                yield (side, number, key), f"{name!r} must lie inside the project's folder"
            elif not (root / name).is_file():
                yield (side, number, key), f"there is no file {name!r}"
    export = document.get("export")
    opset = export.get("opset") if isinstance(export, dict) else None
    if steps and isinstance(opset, int) and opset < OLDEST_OPSET:
        yield ("export", "opset"), f"steps ([[{steps[0][0]}]]) need opset {OLDEST_OPSET} or newer, not {opset}"


def _description(annotation: object) -> str:
    """What is said of the type within an optional one."""
    for part in get_args(annotation):
        for note in getattr(part, "__metadata__", ()):
            if getattr(note, "description", None):
                return str(note.description)
    return "something else"
