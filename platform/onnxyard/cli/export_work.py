"""What `onnxyard export` works on: a project or a finished file, exported at any opset into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from onnxyard.bootstrap import Yard
from onnxyard.cli.options import names_file
from onnxyard.cli.workbench import bench
from onnxyard.diagnosis.proving import Proven
from onnxyard.project.project import load_project
from onnxyard.runtimes.graph import Graph
from onnxyard.runtimes.releases import Release, smallest_release
from onnxyard.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """One model, ready to be exported.

    Attributes:
        name: The model's name: the project's, or the file's without its ending.
        export: Writes it into a folder (which must not exist) at an opset; None takes the stated or the file's own one.
    """

    name: str
    export: Callable[[int | None, Path], Written]


@dataclass(frozen=True, slots=True)
class Written:
    """An exported model in a folder.

    Attributes:
        graph: What the file says of itself.
        exporter: What made it.
        max_error: Largest absolute difference to the source.
        remedies: What had to be done for it.
    """

    graph: Graph
    exporter: str
    max_error: float
    remedies: tuple[str, ...]

    @classmethod
    def of(cls, proven: Proven) -> Written:
        """What a proven export says of itself."""
        return cls(proven.checked.graph, proven.exported.exporter, proven.checked.max_error, proven.exported.remedies)

    @property
    def release(self) -> Release | None:
        """The oldest ONNX Runtime release that loads it."""
        return smallest_release(self.graph.opsets, self.graph.ir_version)

    def document(self) -> dict[str, object]:
        """JSON-compatible."""
        return {
            "opset": self.graph.opset,
            "ir_version": self.graph.ir_version,
            "exporter": self.exporter,
            "nodes": self.graph.nodes,
            "max_error": self.max_error,
            "smallest_onnxruntime": None if self.release is None else self.release.name,
            "remedies": list(self.remedies),
        }


@contextmanager
def work_on(path: Path, home: Path | None) -> Iterator[Work]:
    """Develop the project (or take what an earlier command made of it), or take the file. Cleans up afterwards.

    Raises:
        NotFoundError: there is no such project or file.
        OnnxyardError: what developing raises.
    """
    if names_file(path):
        yield Work(path.stem, lambda opset, folder: _export_file(path, opset, folder))
        return
    project = load_project(path)
    yard = Yard(Settings.read(home=home, start=path))
    with bench(yard, project) as ready:
        request = ready.export_request()

        def write(opset: int | None, folder: Path) -> Written:
            from onnxyard.stages.export.stage import export  # noqa: PLC0415 - imports the framework

            with TemporaryDirectory(prefix="export-", dir=ready.folder) as scratch:
                workspace = Path(scratch)
                _, proven = export(request if opset is None else request.at(opset), workspace)
                for part in ("model", "sidecar"):
                    shutil.copytree(workspace / part, folder, dirs_exist_ok=True)
            return Written.of(proven)

        yield Work(project.name, write)


def _export_file(file: Path, opset: int | None, folder: Path) -> Written:
    from onnxyard.diagnosis.exporting import export_file  # noqa: PLC0415 - brings onnxruntime

    return Written.of(export_file(file, folder, opset=opset))
