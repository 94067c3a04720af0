"""What export takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from onnxyard.lifecycle.handover import DevelopResult
from onnxyard.project.project import Project
from onnxyard.sources.by_name import versions_of
from onnxyard.stages.export.ceilings import ceilings
from onnxyard.stages.reuse import stage_key


@dataclass(frozen=True)
class ExportRequest:
    """Export the fitted model to ONNX.

    Attributes:
        project: The loaded project.
        developed: What develop gave.
        fitted: Local folder of `developed.fitted`.
        golden_set: Local folder of `developed.golden_set`.
        processing: Local folder of `developed.processing`, or None.
    """

    project: Project
    developed: DevelopResult
    fitted: Path
    golden_set: Path
    processing: Path | None

    def at(self, opset: int) -> ExportRequest:
        """The same request as if the project file stated this opset."""
        stated = self.project.file.export.model_copy(update={"opset": opset})
        file = self.project.file.model_copy(update={"export": stated})
        return replace(self, project=replace(self.project, file=file))

    def key(self) -> str:
        """Depends on the weights, the golden set, the code, the [export] section and the targets' ceilings.

        Not on where the folders are, and not on what else the targets say.
        """
        return stage_key(
            "export",
            {
                "code": self.project.code_digest,
                "config": self.project.sections("project", "develop", "preprocess", "postprocess", "export"),
                "ceilings": {name: release.name for name, release in ceilings(self.project).items()},
                "fitted": self.developed.fitted.digest,
                "golden_set": self.developed.golden_set.digest,
            },
            packages=("onnx", "onnxruntime"),
            versions=versions_of(self.project),
        )
