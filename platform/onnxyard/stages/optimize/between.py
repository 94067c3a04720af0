"""A graph with steps, and the model between them, which alone is optimized."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import onnx

from onnxyard.processing.composing import Parts, has_steps, parts_of
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.admission.external import data_files
from onnxyard.sources.saving import save_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from onnxyard.stages.optimize.passes.transformation import Materials


@dataclass(frozen=True, slots=True)
class Between:
    """A graph taken apart.

    Attributes:
        core: The model alone, in a folder of its own.
        parts: The graph's parts, weights in memory.
    """

    core: Path
    parts: Parts

    @classmethod
    def of(cls, source: Path, folder: Path) -> Between | None:
        """Take a graph apart and write the model alone into `folder`; None for a graph that has no steps."""
        parts = parts_of(onnx.load(source)) if has_steps(source) else None
        if parts is None:
            return None
        core = folder / source.name
        alone = onnx.ModelProto()
        alone.CopyFrom(parts.core)  # writing large weights beside the model would take them out of `parts`
        save_model(alone, core)
        return cls(core, parts)

    def around(self, core: Path, folder: Path) -> Path:
        """Put the steps around another form of the model, together with whatever files it has beside it."""
        model = onnx.load(core, load_external_data=False)
        weights = {core.name, *data_files(model)}
        whole = folder / core.name
        for path in core.parent.rglob("*"):
            beside = path.relative_to(core.parent)
            if path.is_file() and beside.as_posix() not in weights:
                (folder / beside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / beside)
        save_model(self.parts.with_core(onnx.load(core)), whole)
        return whole

    def materials(self, whole: Materials) -> Materials:
        """The same materials as the model alone takes them: behind the steps in front, and scored between the steps."""

        def score(core: Path) -> float:
            with TemporaryDirectory() as folder:
                return whole.score(self.around(core, Path(folder)))

        return replace(whole, calibration=lambda: self._calibration(whole), score=score)

    def _calibration(self, whole: Materials) -> Iterator[dict[str, np.ndarray]]:
        if self.parts.before is None:
            yield from whole.calibration()
            return
        wanted = [value.name for value in self.parts.core.graph.input]
        front = OnnxRuntime.load_bytes(self.parts.before.SerializeToString())
        for raw in whole.calibration():
            given = {**raw, **front.run({spec.name: raw[spec.name] for spec in front.signature.inputs})}
            yield {name: given[name] for name in wanted}
