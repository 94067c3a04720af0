"""Repairs of a project file that are safe: each is proven by a new export before it is kept."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onnxyard.diagnosis.doctor.toml_edit import with_value
from onnxyard.errors import ConflictError, OnnxyardError
from onnxyard.lifecycle.finding import Finding, Severity
from onnxyard.project.file import ProjectFile
from onnxyard.settings import PROJECT_FILE
from onnxyard.tensors.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.diagnosis.doctor.examination import Examination
    from onnxyard.project.project import Project
    from onnxyard.sources.source import Asked

    Examine = Callable[[Project], Examination]


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of one remedy.

    Attributes:
        finding: What it is for.
        kept: Whether it held, and stands in the project file now.
        told: What was changed, or why nothing was.
    """

    finding: Finding
    kept: bool
    told: str


def repair(
    project: Project, asked: Asked, first: Examination, examine: Examine
) -> tuple[tuple[Repair, ...], Examination]:
    """Apply the remedies that can be, one after the other; the project file is written where one held.

    A remedy holds when the project is exported anew with it, the finding is gone, no graver one came, and the graph is
    no farther from the model than before, or within rounding.

    Args:
        project: The project as it was examined.
        asked: What was asked of its export.
        first: What was found.
        examine: Examines the project with another project file.

    Returns:
        What became of each remedy, and the examination of the project as it is now.

    Raises:
        ConflictError: the project file was changed meanwhile; it stays as it is.
    """
    path = project.root / PROJECT_FILE
    before = path.read_bytes()
    text, current, made = before.decode(), first, []
    for finding in first.findings:
        if not finding.fix:
            continue
        try:
            edited, told = _EDITS[finding.fix](text, finding, asked)
            file = ProjectFile.model_validate(tomllib.loads(edited))
            after = examine(replace(project, file=file))
        except OnnxyardError as error:
            made.append(Repair(finding, kept=False, told=f"Not applied: {error.detail}"))
            continue
        why = _worse(finding, current, after)
        if why:
            made.append(Repair(finding, kept=False, told=f"Not applied ({told}): {why}"))
        else:
            text, current, project = edited, after, replace(project, file=file)
            asked = replace(asked, opset=project.opset, axes=file.project.axes)
            made.append(Repair(finding, kept=True, told=f"{told}; a new export proves it."))
    if text.encode() != before:
        if path.read_bytes() != before:
            raise ConflictError("The project file was changed meanwhile.", where=str(path), remedy="Run again.")
        write_bytes(path, text.encode())
    return tuple(made), current


def _worse(finding: Finding, before: Examination, after: Examination) -> str:
    """Why a remedy does not hold; empty where it does."""
    if after.proven is None:
        return "with it, no export passes the checks."
    if any((one.code, one.node) == (finding.code, finding.node) for one in after.findings):
        return "with it, the finding is still there."
    known = {one.code for one in before.findings}
    worse = [one.code for one in after.findings if one.severity is not Severity.NOTE and one.code not in known]
    if worse:
        return f"with it, there is {worse[0]}."
    checked = after.proven.checked
    error = math.inf if before.proven is None else before.proven.checked.relative_error
    if not checked.holds and checked.relative_error > error:
        return f"with it, the graph is {checked.relative_error:.2g} away from the model."
    return ""


def _set_opset(text: str, finding: Finding, asked: Asked) -> tuple[str, str]:  # noqa: ARG001 - an edit's shape
    opset = int(finding.node.removeprefix("opset "))
    return with_value(text, ("export",), "opset", opset), f"[export] opset = {opset}"


def _name_axes(text: str, finding: Finding, asked: Asked) -> tuple[str, str]:
    """One name for the axes that the finding's node lists, as `ids[1] mask[1]`."""
    places = [(name, int(at.rstrip("]"))) for name, _, at in (place.partition("[") for place in finding.node.split())]
    taken = {axis for name in asked.inputs for axis in asked.axes_of(name)}
    axis = next(name for name in ("length", *(f"{name}_{at}" for name, at in places)) if name not in taken)
    told = []
    for name, at in places:
        shape = list(asked.axes_of(name))
        shape[at] = axis
        text = with_value(text, ("project", "axes"), name, shape)
        told.append(f"[project.axes] {name} = {shape}")
    return text, ", ".join(told)


_EDITS: dict[str, Callable[[str, Finding, Asked], tuple[str, str]]] = {
    "set-opset": _set_opset,
    "name-axes": _name_axes,
}
