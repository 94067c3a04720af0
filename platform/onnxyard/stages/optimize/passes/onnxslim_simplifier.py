"""OnnxSlim: a simplifier of graphs that came from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.model_file import rewritten

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials, Transformed


@dataclass(frozen=True, slots=True)
class OnnxslimSimplifier:
    """Fold constants, merge equal subgraphs and weights, fuse and drop by patterns, until nothing changes.

    Stays in the standard domains. https://github.com/inisis/OnnxSlim
    """

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxslim")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`."""
        with of_extra("optimize"):
            import onnxslim  # noqa: PLC0415 - the `optimize` extra
        return rewritten(source, folder, lambda model: (onnxslim.slim(model), {}))
