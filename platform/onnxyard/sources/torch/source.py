"""PyTorch as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report
    from onnxyard.sources.source import Asked, Attempt


class Torch:
    """The `Source` of a project whose `model(config)` gives an `nn.Module`."""

    @property
    def packages(self) -> tuple[str, ...]:
        return ("torch",)

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
        from onnxyard.sources.torch.fitting import fit  # noqa: PLC0415 - the `torch` extra

        return fit(project, functions, splits, folder, report)

    def load(self, project: Project, folder: Path) -> LoadedModel:
        from onnxyard.sources.torch.reference import TorchModel, load_module  # noqa: PLC0415 - the `torch` extra

        return TorchModel(load_module(project, folder), project.file.project.outputs)

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
        from onnxyard.sources.torch.exporting import attempts  # noqa: PLC0415 - the `torch` extra

        yield from attempts(project, folder, asked)
