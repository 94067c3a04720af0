"""Weights that nothing reads, and weights that are there twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.model_file import rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import onnx

    from onnxyard.stages.optimize.passes.transformation import Materials, Transformed


@dataclass(frozen=True, slots=True)
class DropDeadWeights:
    """Drop nodes and weights that no output needs, and keep one of weights that are equal."""

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnx-ir")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`."""
        with of_extra("optimize"):
            import onnx_ir as ir  # noqa: PLC0415 - the `optimize` extra
            from onnx_ir.passes import common  # noqa: PLC0415

        def drop(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, str]]:
            graph = ir.serde.deserialize_model(model)
            ir.passes.Sequential(
                common.RemoveUnusedNodesPass(),
                common.DeduplicateInitializersPass(size_limit=1 << 62),
            )(graph)
            return ir.serde.serialize_model(graph), {}

        return rewritten(source, folder, drop)
