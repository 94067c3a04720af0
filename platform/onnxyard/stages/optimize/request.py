"""What optimize takes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from onnxyard.lifecycle.handover import DevelopResult, ExportResult
from onnxyard.project.project import Project
from onnxyard.stages.reuse import stage_key

MAKERS = ("nncf", "nnef-tools", "onnxscript", "onnxslim", "optuna")
"""Distributions that passes and the search lean on, where they are installed. What runs models is the machine's."""


def makers_versions() -> dict[str, str]:
    """Their versions; one that is not installed is not there."""
    found = {}
    for name in MAKERS:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


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
        shelf: A folder that outlives the workspace: what passes made, and how far a search came, so that nothing is
            computed twice. None keeps nothing. What lies there changes no result.
        workers: Candidates made at a time; timing is always alone on its machine.
        dask: The address of a Dask scheduler whose workers make candidates; None makes them here.
    """

    project: Project
    developed: DevelopResult
    exported: ExportResult
    model: Path
    processing: Path | None
    machine: str
    shelf: Path | None = None
    workers: int = 1
    dask: str | None = None

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
            versions=makers_versions(),
        )
