"""What validate takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult
from onnxyard.project.project import Project
from onnxyard.stages.reuse import stage_key


@dataclass(frozen=True)
class ValidateRequest:
    """Hold the chosen models to the gates.

    Attributes:
        project: The loaded project.
        developed: What develop gave.
        exported: What export gave.
        optimized: What optimize gave.
        models: Local folder of each chosen model, by target.
        fitted: Local folder of `developed.fitted`.
        golden_set: Local folder of `developed.golden_set`.
        processing: Local folder of `developed.processing`, or None.
        machine: The fingerprint of the machine that measures.
    """

    project: Project
    developed: DevelopResult
    exported: ExportResult
    optimized: OptimizeResult
    models: dict[str, Path]
    fitted: Path
    golden_set: Path
    processing: Path | None
    machine: str

    def key(self) -> str:
        """Depends on the chosen models, the golden set, the data, the gates and the machine that measures."""
        return stage_key(
            "validate",
            {
                "code": self.project.code_digest,
                "config": self.project.sections("project", "develop", "optimize", "targets", "gates"),
                "models": {model.target: model.model.digest for model in self.optimized.models},
                "fitted": self.developed.fitted.digest,
                "golden_set": self.developed.golden_set.digest,
                "data": self.developed.data_fingerprint,
                "machine": self.machine,
            },
            packages=("onnx", "onnxruntime"),
        )
