"""Who is examined: a project's fitted model, or a bare torch module."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.diagnosis.doctor.noise import Noise
from onnxyard.diagnosis.doctor.trials import few_rows
from onnxyard.project.project import Project
from onnxyard.project.translations import translations_of
from onnxyard.sources.by_name import source_of
from onnxyard.sources.source import Asked, Attempt
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import torch

    from onnxyard.diagnosis.doctor.torch.reference import TorchReference
    from onnxyard.ports.runtime import LoadedModel

    Ways = Callable[[Asked], Iterator[Attempt]]


@dataclass(frozen=True, slots=True)
class Development:
    """A project's side of it.

    Attributes:
        project: The project.
        golden_set: Folder of its golden set.
        processing: Folder with its pre- and postprocessing, or None.
    """

    project: Project
    golden_set: Path
    processing: Path | None


class Subject:
    """A model with all that the doctor may ask it. Made by `of_project` or `of_module`.

    Attributes:
        asked: What is asked of the export; its inputs are the example.
        reference: The model itself.
        ways: Gives the ways to a graph as asked for, anew at each call.
        torch: A look inside, for torch models.
        development: The project it belongs to; None for a bare module.
    """

    def __init__(
        self,
        asked: Asked,
        reference: LoadedModel,
        ways: Ways,
        *,
        torch: TorchReference | None = None,
        development: Development | None = None,
    ) -> None:
        self.asked = asked
        self.reference = reference
        self.ways = ways
        self.torch = torch
        self.development = development
        self.noise = Noise(reference, torch, few_rows(asked, 2))

    @cached_property
    def expected(self) -> Mapping[str, np.ndarray]:
        """The model's outputs for the example.

        Raises:
            UserCodeError: `forward` raised, or gave something else than the outputs that were named.
            UnsupportedModelError: an output is no tensor that a graph can give.
        """
        return self.reference.run(self.asked.inputs)

    @classmethod
    def of_project(
        cls,
        project: Project,
        *,
        fitted: Path,
        golden_set: Path,
        processing: Path | None = None,
        opset: int | None = None,
        ir_version: int | None = None,
    ) -> Subject:
        """A developed project; its model itself, without the steps that its file puts around it.

        Args:
            project: The loaded project.
            fitted: Folder of its fitted model.
            golden_set: Folder of its golden set.
            processing: Folder with its pre- and postprocessing, or None.
            opset: The opset that is asked for; the project's own by default.
            ir_version: The highest IR version that every target loads; None sets no limit.

        Raises:
            ArtifactCorruptError: a folder does not hold what develop wrote.
            UserCodeError: the project's own code failed.
        """
        from onnxyard.sources.processed import Processed  # noqa: PLC0415 - brings ONNX Runtime

        source = source_of(project)
        asked = Asked(
            inputs=read_tensors(golden_set / "inputs"),
            outputs=tuple(read_tensors(golden_set / "outputs")),
            opset=project.opset if opset is None else opset,
            axes=project.file.project.axes,
            translations=translations_of(project),
            ir_version=ir_version,
        )
        if isinstance(source, Processed):
            asked, source = source.model_asked(project, asked), source.inner
        reference = source.load(project, fitted)
        return cls(
            asked,
            reference,
            lambda wanted: source.attempts(project, fitted, wanted),
            torch=_inside(project, reference) if "torch" in project.packages else None,
            development=Development(project, golden_set, processing),
        )

    @classmethod
    def of_module(
        cls,
        module: torch.nn.Module,
        example: Mapping[str, np.ndarray],
        *,
        outputs: tuple[str, ...] = (),
        opset: int = 20,
        axes: Mapping[str, tuple[int | str, ...]] | None = None,
        translations: Mapping[str, Callable[..., Any]] | None = None,
        roots: tuple[Path, ...] = (),
    ) -> Subject:
        """A bare torch module; a copy of it is put into eval mode, it itself is left as it is.

        Args:
            module: Its `forward` takes the inputs by name.
            example: At least two rows of each.
            outputs: The outputs' names in order; its own, `output`, or `output_0` and so on, by default.
            opset: The opset of the graph.
            axes: As in `[project.axes]`: per input its axes, a text for a dynamic one.
            translations: onnxscript functions by operator, as in `[export.translations]`.
            roots: Folders of the user's source; that of the module's class by default.

        Raises:
            UserCodeError: `forward` raised.
        """
        from onnxyard.diagnosis.doctor.torch.reference import TorchReference, names_by_running  # noqa: PLC0415
        from onnxyard.sources.torch.exporting import ways  # noqa: PLC0415 - as above
        from onnxyard.sources.torch.reference import TorchModel  # noqa: PLC0415 - as above
        from onnxyard.sources.torch.tree import SourceTree  # noqa: PLC0415 - as above

        module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        exported = copy.deepcopy(module)  # torch's legacy exporter sets the mode of every part
        tree = SourceTree(roots or (Path(inspect.getfile(type(module))).resolve().parent,))
        names = outputs or names_by_running(module, example)
        return cls(
            Asked(dict(example), names, opset, axes or {}, translations or {}),
            TorchModel(module, names),
            lambda wanted: ways(exported, wanted, tree),
            torch=TorchReference(module, names, tree),
        )


def _inside(project: Project, reference: LoadedModel) -> TorchReference | None:
    from onnxyard.diagnosis.doctor.torch.reference import TorchReference  # noqa: PLC0415 - the `torch` extra
    from onnxyard.sources.torch.exporting import source_tree  # noqa: PLC0415 - as above
    from onnxyard.sources.torch.reference import TorchModel  # noqa: PLC0415 - as above

    if not isinstance(reference, TorchModel):
        return None
    return TorchReference(reference.module, project.file.project.outputs, source_tree(project))
