"""scikit-learn as a source: stored by skops, its own predict as reference, converted by skl2onnx."""

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


class Sklearn:
    """The `Source` of a project whose `train` gives a fitted estimator, or a pipeline of several.

    Its outputs are what the estimator's own methods give: `predict` first, and second, of a classifier,
    `predict_proba` (or `decision_function` where it has none), of an outlier detector `decision_function`, of a
    clusterer `transform`. A transformer gives `transform`.
    """

    @property
    def packages(self) -> tuple[str, ...]:
        return ("scikit-learn", "skl2onnx", "skops")

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
        from onnxyard.sources.sklearn.fitting import fit  # noqa: PLC0415 - the `trees` extra

        return fit(project, functions, splits, folder, report)

    def load(self, project: Project, folder: Path) -> LoadedModel:
        from onnxyard.sources.sklearn.reference import load  # noqa: PLC0415 - the `trees` extra

        return load(project, folder)

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
        from onnxyard.sources.sklearn.exporting import attempts  # noqa: PLC0415 - the `trees` extra

        yield from attempts(project, folder, asked)
