"""A project on the bench: its fitted model and golden set, for commands that look at one stage alone."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from onnxyard.cli.output import err
from onnxyard.lifecycle.handover import DevelopResult
from onnxyard.project.project import Project
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.kept import KeptResults, artifacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.bootstrap import Yard


@dataclass(frozen=True, slots=True)
class Bench:
    """A developed project, its artifacts fetched into a scratch folder.

    Attributes:
        project: The loaded project.
        developed: What develop gave.
        folder: Scratch: `fitted`, `golden_set` and (where there is one) `processing` lie in it; anything may be added.
    """

    project: Project
    developed: DevelopResult
    folder: Path

    def export_request(self) -> ExportRequest:
        """What the export stage takes."""
        processing = None if self.developed.processing is None else self.folder / "processing"
        return ExportRequest(
            self.project, self.developed, self.folder / "fitted", self.folder / "golden_set", processing
        )


@contextmanager
def bench(yard: Yard, project: Project) -> Iterator[Bench]:
    """Develop the project, or take what a run or an earlier command made of the same code; clean up afterwards.

    Raises what the develop stage raises.
    """
    project = yard.acquired(project)
    kept = KeptResults(yard.settings.results, yard.store)
    key = DevelopRequest(project).key()
    yard.settings.workspaces.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="bench-", dir=yard.settings.workspaces))
    try:
        developed = kept.find(DevelopResult, "develop", key)
        if developed is None:
            developed = _develop(project, folder)
            for name in artifacts(developed):
                yard.store.put(folder / name)
            kept.keep("develop", key, developed)
        else:
            for name, artifact in artifacts(developed).items():
                yard.store.fetch(artifact.digest, folder / name)
        yield Bench(project, developed, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _develop(project: Project, folder: Path) -> DevelopResult:
    from onnxyard.stages.develop.stage import run  # noqa: PLC0415 - imports the framework

    with err.status(f"develop {project.name}") as status:

        def report(step: int, metrics: Mapping[str, float]) -> None:
            said = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            status.update(f"develop {project.name}: step {step}  {said}")

        return run(DevelopRequest(project), folder, report)
