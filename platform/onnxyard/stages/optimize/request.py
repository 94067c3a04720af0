"""What optimize takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnxyard.lifecycle.handover import DevelopResult, ExportResult
from onnxyard.project.project import Project
from onnxyard.stages.reuse import stage_key


@dataclass(frozen=True)
class OptimizeRequest:
    """Make candidates for each target, measure them and choose.

    Attributes:
        project: The loaded project.
        developed: What develop gave.
        exported: What export gave.
        model: Local folder of `exported.model`.
        processing: Local folder of `developed.processing`, or None.
        machine: The fingerprint of the machine that measures (`onnxyard.runtimes.machine.fingerprint()`).
    """

    project: Project
    developed: DevelopResult
    exported: ExportResult
    model: Path
    processing: Path | None
    machine: str

    def key(self) -> str:
        """Depends on the exported model, the data, the goals, the targets and the machine that measures."""
        return stage_key(
            "optimize",
            {
                "code": self.project.code_digest,
                "config": self.project.sections("project", "develop", "optimize", "targets"),
                "model": self.exported.model.digest,
                "data": self.developed.data_fingerprint,
                "machine": self.machine,
            },
            packages=("onnx", "onnxruntime"),
        )
