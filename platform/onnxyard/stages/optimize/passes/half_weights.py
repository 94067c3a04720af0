"""Weights stored in 16 bits, arithmetic in float32: half the size on disk, for every runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxyard.stages.optimize.passes.model_file import rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials, Transformed

_SMALLEST = 1024
"""Values. Smaller constants save nothing, and some operators want theirs (scales, limits) to be plain constants."""
_QUANTIZERS = frozenset({"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"})
_FORMATS = {"fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
_OLDEST_OPSET = {"fp16": 9, "bf16": 13}
"""From where on Cast reads the type (and initializers need not be inputs)."""


@dataclass(frozen=True, slots=True)
class HalfWeights:
    """Store float32 weights in 16 bits, with a Cast behind each, which runtimes fold when they load.

    Weights that are not finite then stay as they are. The memory of a loaded model and its speed do not change.

    Attributes:
        kind: `fp16`: 11 significant bits, up to 65504; `bf16`: 8 significant bits, the range of float32.
    """

    kind: Literal["fp16", "bf16"] = "fp16"

    packages: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "ml-dtypes")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`."""
        return rewritten(source, folder, self._store)

    def _store(self, model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, str]] | None:
        opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
        if opset < _OLDEST_OPSET[self.kind]:
            return None
        graph = model.graph
        taken = {value.name for value in (*graph.input, *graph.output)}
        taken |= {name for node in graph.node if node.op_type in _QUANTIZERS for name in node.input}
        stored, kept, error = 0, [], 0.0
        casts = []
        for tensor in list(graph.initializer):
            if tensor.data_type != TensorProto.FLOAT or tensor.name in taken:
                continue
            values = numpy_helper.to_array(tensor)
            if values.size < _SMALLEST:
                continue
            with np.errstate(over="ignore"):
                half = values.astype(_FORMATS[self.kind])
            if not np.isfinite(half.astype(np.float32)).all():
                kept.append(tensor.name)
                continue
            error = max(error, _relative_error(values, half))
            name = f"{tensor.name}/{self.kind}"
            casts.append(helper.make_node("Cast", [name], [tensor.name], f"{name}/cast", to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(half, name))
            stored += 1
        if not stored:
            return None
        behind = list(graph.node)
        del graph.node[:]
        graph.node.extend([*casts, *behind])
        facts = {
            "stored": f"{stored} weights in {self.kind}, computed with in float32",
            "weights' error": f"at most {error:.1e} of a weight's largest value",
        }
        if kept:
            facts["stored in float32"] = f"{', '.join(kept)}: beyond {self.kind}"
        return model, facts


def _relative_error(values: np.ndarray, half: np.ndarray) -> float:
    largest = float(np.abs(values).max(initial=0.0))
    return float(np.abs(values - half.astype(np.float32)).max(initial=0.0)) / largest if largest else 0.0
