"""Running a model that is still being worked on, over a few rows."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import onnxruntime as ort

from onnxyard.errors import OnnxyardError, UnsupportedModelError
from onnxyard.runtimes.extensions import open_session
from onnxyard.runtimes.machine import usable_cores
from onnxyard.sources.saving import save_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import onnx

_FATAL = 4
_LARGEST_IN_MEMORY = 1 << 30
"""Beyond it, weights go through a file: one protobuf message ends at 2 GiB."""


def run_rows(
    model: onnx.ModelProto, batches: Iterable[dict[str, np.ndarray]], *, as_written: bool = False
) -> Iterator[dict[str, np.ndarray]]:
    """What ONNX Runtime answers on the CPU, batch by batch: outputs by name.

    Args:
        model: Its weights in memory; it is left as it is.
        batches: Model inputs, by input name.
        as_written: Without any optimization: quantized arithmetic is emulated in float32, node by node.

    Raises:
        UnsupportedModelError: it does not load or run.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = usable_cores()
    options.inter_op_num_threads = 1
    if as_written:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        with _loadable(model) as loadable:
            session = open_session(loadable, options, ["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for batch in batches:
            yield dict(zip(names, session.run(names, batch), strict=True))
    except OnnxyardError:
        raise
    except Exception as error:  # ORT raises plain Exception's children of its own, RuntimeError among them
        raise UnsupportedModelError(f"ONNX Runtime cannot run the graph: {error}") from error


@contextmanager
def _loadable(model: onnx.ModelProto) -> Iterator[Path | bytes]:
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) < _LARGEST_IN_MEMORY:
        yield model.SerializeToString()
        return
    with TemporaryDirectory() as folder:
        copy = type(model)()
        copy.CopyFrom(model)  # saving moves the weights out of what is saved
        save_model(copy, Path(folder, "model.onnx"))
        yield Path(folder, "model.onnx")
