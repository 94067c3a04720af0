"""`[export.translations]`: the project's own ONNX forms of operators that the exporter does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxyard.errors import UserCodeError
from onnxyard.project.modules import load_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.project.project import Project


def translations_of(project: Project) -> dict[str, Callable[..., Any]]:
    """The functions by operator, as `mylib::frobnicate`; their files run now.

    Raises:
        UserCodeError: a file cannot be loaded, or has no such function.
    """
    found = {}
    for operator, place in project.file.export.translations.items():
        file, _, name = place.partition(":")
        function = getattr(load_module(project.root / file, digest=project.code_digest), name, None)
        if not callable(function):
            raise UserCodeError(
                f"There is no function {name!r} for the operator {operator}.",
                where=file,
                remedy=f"Define `def {name}(...)` there, an onnxscript function; it takes what the operator takes.",
            )
        found[operator] = function
    return found
