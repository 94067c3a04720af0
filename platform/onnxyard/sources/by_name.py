"""Which source a project has; only that one is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxyard.project.project import Project
    from onnxyard.sources.source import Source


def source_of(project: Project) -> Source:
    """The source of a project: its finished file, or the framework it names.

    Raises:
        MissingExtraError: the framework's adapter needs a package that is not installed.
    """
    if project.file.project.onnx is not None:
        from onnxyard.sources.finished import FinishedFile  # noqa: PLC0415 - only the one that is asked for

        return FinishedFile()
    from onnxyard.sources.torch.source import Torch  # noqa: PLC0415 - as above

    return Torch()
