"""The ways from a torch module to an ONNX graph, the cheapest first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import scrub, sidecar, trace_origins
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.sources.torch.dynamo import EXPORTER, check_opset, export_module
from onnxyard.sources.torch.reference import load_module
from onnxyard.sources.torch.tree import SourceTree, plain_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from onnxyard.project.project import Project


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    if asked.opset is not None:
        check_opset(asked.opset)  # before the user's code runs
    module = load_module(project, folder)
    yield from ways(module, asked, source_tree(project))


def ways(module: torch.nn.Module, asked: Asked, source: SourceTree) -> Iterator[Attempt]:
    """The same for a module in eval mode that belongs to no project."""

    def dynamo(model_file: Path) -> Exported:
        model, noted = export_module(
            module, asked.inputs, outputs=asked.outputs, opset=asked.opset or 20, source=source
        )
        origins = trace_origins(noted, source)
        document = sidecar(model, origins, classes_of(module), exporter=EXPORTER)
        scrub(model, origins)
        save_model(model, model_file)
        return Exported(EXPORTER, document)

    yield Attempt("torch.onnx dynamo", dynamo)


def source_tree(project: Project) -> SourceTree:
    """The project's folder, and the one its code was loaded from where this process saw it elsewhere before."""
    loaded = Path(str(project.functions().module.__file__)).resolve().parent
    return SourceTree((project.root.resolve(), loaded))


def classes_of(module: torch.nn.Module) -> dict[str, str]:
    """The class of each module by its path, as its author knows it."""
    return {
        path: plain_class(f"{type(part).__module__}.{type(part).__qualname__}") for path, part in module.named_modules()
    }
