"""A source: the framework a model was made with, as the stages see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report

MODEL_FILE = "model.onnx"
"""The ONNX file's name in every folder that holds one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What export asks of a source.

    Attributes:
        inputs: The example, usually the golden set's inputs: arrays of at least two rows each.
        outputs: The outputs' names, in order.
        opset: The default domain's opset: exactly this one. None takes what a finished file has.
        axes: Per input: the name of each dynamic axis, or the length of a fixed one. An input that is not named has
            `batch` first and the example's lengths behind it.
        translations: The project's own translations of operators: onnxscript functions by `aten::frobnicate`.
        ir_version: The highest IR version that every target loads; None sets no limit.
    """

    inputs: Mapping[str, np.ndarray]
    outputs: tuple[str, ...]
    opset: int | None
    axes: Mapping[str, tuple[int | str, ...]]
    translations: Mapping[str, Callable[..., Any]]
    ir_version: int | None = None

    def axes_of(self, name: str) -> tuple[int | str, ...]:
        """The axes of one input."""
        batch = next((axes[0] for axes in self.axes.values()), "batch")
        return self.axes.get(name, (batch, *self.inputs[name].shape[1:]))


@dataclass(frozen=True, slots=True)
class Exported:
    """What one attempt gave, beside the model file.

    Attributes:
        exporter: As `torch.onnx dynamo 2.13.0`.
        sidecar: The sidecar's document (`onnxyard.sources.sidecar`).
        remedies: What had to be done for it, one sentence each; empty for a plain export.
    """

    exporter: str
    sidecar: dict[str, object]
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the graph; the cheapest come first. Whether it holds is proven by whoever runs it.

    Attributes:
        name: As `torch.onnx dynamo` or `legacy exporter`.
        make: Writes the model (and external data beside it) to the path and returns what it did. Raises
            UnsupportedModelError or InvalidRequestError where this way does not lead there.
    """

    name: str
    make: Callable[[Path], Exported]


class Source(Protocol):
    """A framework that models come from. Nothing of it is imported before one of these methods is called."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose version changes what comes out."""
        ...

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
        """Write the fitted model into `folder` (empty), without pickle; trained, read from a checkpoint, or finished.

        Args:
            project: The project.
            functions: Its functions.
            splits: With inputs that have been through `preprocess`; without the test split.
            folder: An empty folder.
            report: Takes what `train` reports.

        Returns:
            The framework, as `torch 2.13.0`.

        Raises:
            UserCodeError: `train` or `model` failed, or gave something that cannot be stored.
        """
        ...

    def load(self, project: Project, folder: Path) -> LoadedModel:
        """The fitted model, ready to run: the reference that every derived model is compared with.

        Raises:
            ArtifactCorruptError: the folder does not hold what `fit` wrote.
            UserCodeError: the project's own code failed.
        """
        ...

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
        """Ways to the ONNX graph, the cheapest first; lazily, so that later ones cost nothing when the first holds.

        Raises:
            UnsupportedModelError: no way leads to the opset that was asked for.
            InvalidRequestError: the inputs are not what the model takes.
        """
        ...
