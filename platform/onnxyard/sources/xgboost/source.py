"""XGBoost as a source: its own file format, its own predict as reference, its trees written as ONNX."""

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


class XGBoost:
    """The `Source` of a project whose `train` gives an XGBClassifier, XGBRegressor, XGBRanker or Booster.

    Its outputs are what that one's own API gives: `predict`, and of an XGBClassifier `predict_proba` second.
    """

    @property
    def packages(self) -> tuple[str, ...]:
        return ("xgboost-cpu",)

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
        from onnxyard.sources.xgboost.fitting import fit  # noqa: PLC0415 - the `trees` extra

        return fit(project, functions, splits, folder, report)

    def load(self, project: Project, folder: Path) -> LoadedModel:
        from onnxyard.sources.xgboost.reference import load  # noqa: PLC0415 - the `trees` extra

        return load(project, folder)

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
        from onnxyard.sources.xgboost.exporting import attempts  # noqa: PLC0415 - the `trees` extra

        yield from attempts(project, folder, asked)
