"""What does not depend on the inputs is computed once."""

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
class FoldConstants:
    """Evaluate nodes of constants ahead of time, whatever the size of what they take.

    What comes out is bounded: a folded `Expand` may be far larger than its recipe.

    Attributes:
        largest: Values that a folded tensor may hold at most; 4 MiB in float32.
    """

    largest: int = 1 << 20

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnx-ir")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`."""
        with of_extra("optimize"):
            import onnx_ir as ir  # noqa: PLC0415 - the `optimize` extra
            from onnx_ir.passes import common  # noqa: PLC0415
            from onnxscript import optimizer  # noqa: PLC0415

        def fold(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, str]]:
            graph = ir.serde.deserialize_model(model)
            optimizer.fold_constants_ir(
                graph, onnx_shape_inference=True, input_size_limit=1 << 62, output_size_limit=self.largest
            )
            common.RemoveUnusedNodesPass()(graph)
            return ir.serde.serialize_model(graph), {}

        return rewritten(source, folder, fold)
