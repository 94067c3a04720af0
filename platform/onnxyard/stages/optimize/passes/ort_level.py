"""ONNX Runtime's own optimizer, run ahead of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import onnx
import onnxruntime as ort

from onnxyard.errors import OnnxyardError, UnsupportedModelError
from onnxyard.runtimes.extensions import open_session
from onnxyard.sources.admission.external import data_files
from onnxyard.stages.optimize.passes.fingerprint import fingerprint
from onnxyard.stages.optimize.passes.model_file import MODEL, becoming, counts, unchanged
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials

_LEVELS = {
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True, slots=True)
class OrtLevel:
    """Save the graph that ONNX Runtime makes at an optimization level.

    https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html

    Attributes:
        level: `basic` folds constants, drops idle nodes, fuses Conv and BatchNormalization, and stays in the standard
            domains. `extended` adds nodes of ONNX Runtime's own; `all` blocks channels for this processor's vector
            width besides (its level LAYOUT). A session does all of it anyway when it loads: done ahead of time it
            saves loading time, and lets later passes see what is left.
    """

    level: Literal["basic", "extended", "all"]

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`. Raises UnsupportedModelError where ONNX Runtime cannot load the model."""
        made = folder / MODEL
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = _LEVELS[self.level]
        options.optimized_model_filepath = str(made)
        if data_files(onnx.load(source, load_external_data=False)):
            # Otherwise the saved graph goes on pointing at the source's folder.
            options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{MODEL}.data")
            options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
        try:
            open_session(source, options, ["CPUExecutionProvider"])
        except OnnxyardError:
            raise
        except Exception as error:  # ORT raises plain Exception's children of its own, RuntimeError among them
            raise UnsupportedModelError(f"ONNX Runtime cannot optimize the graph: {error}") from error
        before, after = onnx.load(source), onnx.load(made)
        if fingerprint(before) == fingerprint(after):
            for written in folder.iterdir():
                written.unlink()
            return unchanged(source, folder)
        return Transformed(made, changed=True, facts=becoming(counts(before), counts(after)))
