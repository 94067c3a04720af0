"""The baseline: the exported graph, simplified, in the standard operator domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnxruntime as ort
from onnx import external_data_helper

from onnxyard.errors import OnnxyardError, UnsupportedModelError
from onnxyard.runtimes.extensions import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np


def make_fp32(
    source: Path,
    folder: Path,
    calibration: Callable[[], Iterator[dict[str, np.ndarray]]],  # noqa: ARG001 - a recipe's shape
) -> Path:
    """Save ONNX Runtime's BASIC optimization: constants folded, idle nodes gone, Conv and BatchNormalization fused.

    Not EXTENDED or ALL: their graphs hold nodes of ONNX Runtime's own (`com.microsoft.nchwc`) that fit one kind of
    processor and run nowhere else. A session does that part anyway when it loads.

    Raises:
        UnsupportedModelError: ONNX Runtime cannot load the model.
    """
    made = folder / "model.onnx"
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(made)
    if _has_external_data(source):
        # Otherwise the saved graph goes on pointing at the source's folder.
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{made.name}.data")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "0")
    try:
        open_session(source, options, ["CPUExecutionProvider"])
    except OnnxyardError:
        raise
    except Exception as error:  # ORT raises plain Exception's children of its own, RuntimeError among them
        raise UnsupportedModelError(f"ONNX Runtime cannot optimize the graph: {error}") from error
    return made


def _has_external_data(source: Path) -> bool:
    graph = onnx.load(source, load_external_data=False).graph
    return any(external_data_helper.uses_external_data(tensor) for tensor in graph.initializer)
