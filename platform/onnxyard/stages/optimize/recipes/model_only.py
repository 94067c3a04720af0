"""Steps in the graph stay as they are: a recipe sees the model between them alone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import onnx

from onnxyard.processing.composing import parts_of
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.saving import save_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from onnxyard.stages.optimize.recipes.recipe import Calibration, Recipe


def model_only(make: Recipe) -> Recipe:
    """The same recipe for graphs with steps: they are taken off, and put around the candidate again.

    Quantizing a tokenizer or a suppression of boxes gains nothing, and the quantizers know neither the operators nor
    the strings in them. Ranges are measured on what the steps in front give.
    """

    def made_between_steps(source: Path, folder: Path, calibration: Calibration) -> Path:
        if parts_of(onnx.load(source, load_external_data=False)) is None:
            return make(source, folder, calibration)
        parts = parts_of(onnx.load(source))
        assert parts is not None  # noqa: S101 - asked above, of the same file without its weights
        wanted = [value.name for value in parts.core.graph.input]

        def ready() -> Iterator[dict[str, np.ndarray]]:
            if parts.before is None:
                yield from calibration()
                return
            front = OnnxRuntime.load_bytes(parts.before.SerializeToString())
            for raw in calibration():
                given = {**raw, **front.run({spec.name: raw[spec.name] for spec in front.signature.inputs})}
                yield {name: given[name] for name in wanted}

        with TemporaryDirectory(dir=folder) as scratch:
            core, candidate = Path(scratch, "core"), Path(scratch, "candidate")
            core.mkdir()
            candidate.mkdir()
            save_model(parts.core, core / source.name)
            whole = parts.with_core(onnx.load(make(core / source.name, candidate, ready)))
        save_model(whole, folder / source.name)
        return folder / source.name

    return made_between_steps
