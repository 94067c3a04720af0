"""Weights and arithmetic in float16; what would overflow stays in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from onnx import TensorProto, numpy_helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.activation_ranges import noted_ranges
from onnxyard.stages.optimize.passes.calibration import first_rows
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.rows_run import run_rows
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.passes.typed_graph import load_typed, takes_any_batch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import onnx

    from onnxyard.stages.optimize.passes.range_methods import Range
    from onnxyard.stages.optimize.passes.transformation import Materials

_LARGEST = 65504.0
_MARGIN = 4.0
"""Rows to come may reach further than calibration rows did, and sums of products further than their result."""


@dataclass(frozen=True, slots=True)
class Float16:
    """Compute in float16 between inputs and outputs that keep their types; `MeasureRanges` has been over the model.

    A node whose inputs, weights or results come within a fourth of float16's largest value stays in float32, as do
    operators that ONNX Runtime has no float16 form of. ONNX Runtime's CPU provider has few float16 kernels, and
    computes the rest in float32 between casts: what it gains there is size.

    Attributes:
        rows: Calibration rows that the error is measured on.
    """

    rows: int = 32

    packages: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`. Raises UnsupportedModelError also where an answer is not finite on calibration rows."""
        from onnxruntime.transformers.float16 import (  # noqa: PLC0415 - slow: sympy and more
            DEFAULT_OP_BLOCK_LIST,
            convert_float_to_float16,
        )

        model = load_typed(source)
        wide = _wide_nodes(model, noted_ranges(model, "minmax"))
        rows = list(first_rows(materials.calibration(), self.rows, cut=takes_any_batch(model)))
        reference = list(run_rows(model, rows))
        blocked = {node.name for node in model.graph.node if node.op_type in DEFAULT_OP_BLOCK_LIST} | set(wide)
        computing = sum(node.op_type not in {"Constant", "Cast"} for node in model.graph.node)
        with silence():
            made = convert_float_to_float16(
                model, keep_io_types=True, disable_shape_infer=True, node_block_list=sorted(wide)
            )
        _join_float32(made)
        answers = list(run_rows(made, rows))
        if not all(_finite(batch) or not _finite(before) for before, batch in zip(reference, answers, strict=True)):
            raise UnsupportedModelError("In float16, answers on calibration rows are not finite.")
        snr = min(compare(before, after).snr_db for before, after in zip(reference, answers, strict=True))
        save_model(made, folder / MODEL)
        facts = {
            "in float16": f"{computing - len(blocked)} of {computing} nodes",
            "error": f"outputs' signal-to-noise ratio {snr:.1f} dB on calibration rows",
        }
        if wide:
            facts["kept in float32"] = ", ".join(f"{name} (reaches {size:.3g})" for name, size in wide.items())
        return Transformed(folder / MODEL, changed=True, facts=facts)


def _wide_nodes(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> dict[str, float]:
    """Nodes that float16 may not be wide enough for, and the largest magnitude that each meets."""
    sizes = {name: max(abs(low), abs(high)) for name, (low, high) in ranges.items()}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            sizes[tensor.name] = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))
    met = {
        node.name: max((sizes.get(name, 0.0) for name in (*node.input, *node.output)), default=0.0)
        for node in model.graph.node
    }
    return {name: size for name, size in met.items() if not size * _MARGIN <= _LARGEST}


def _join_float32(model: onnx.ModelProto) -> None:
    """Between two nodes in float32 the converter goes through float16: take the shortcut."""
    narrowed = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT16
    }
    for node in model.graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT and node.input[0] in narrowed:
            node.input[0] = narrowed[node.input[0]]  # a Cast of float32 to float32, which runtimes drop
    read = {name for node in all_nodes(model.graph) for name in node.input} | {v.name for v in model.graph.output}
    for node in [node for node in model.graph.node if node.output[0] in narrowed and node.output[0] not in read]:
        model.graph.node.remove(node)


def _finite(outputs: Mapping[str, np.ndarray]) -> bool:
    return all(np.isfinite(values).all() for values in outputs.values() if values.dtype.kind == "f")
