"""The optimizer of the torch exporter's authors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.model_file import rewritten

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials, Transformed


@dataclass(frozen=True, slots=True)
class OnnxscriptOptimizer:
    """Inline functions, fold constants, apply onnxscript's rewrite rules, merge equal expressions and weights.

    Stays in the standard domains, and keeps each node's metadata.
    https://microsoft.github.io/onnxscript/api/optimizer.html
    """

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnx-ir")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`."""
        with of_extra("optimize"):
            from onnxscript import optimizer  # noqa: PLC0415 - the `optimize` extra
        return rewritten(source, folder, lambda model: (optimizer.optimize(model), {}))
