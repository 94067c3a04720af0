"""ONNX Runtime's own nodes for the pieces of transformers."""

from __future__ import annotations

from collections import Counter
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Literal

import onnx

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.model_file import rewritten
from onnxyard.stages.optimize.passes.ort_level import OrtLevel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.stages.optimize.passes.transformation import Materials, Transformed

_LARGEST = 1 << 30
"""Bytes. Of a model of 2 GiB it made more than 20 GiB of copies."""


@dataclass(frozen=True, slots=True)
class TransformerFusions:
    """Fuse attention, skip layer normalization, embeddings and biased GELU into nodes that ONNX Runtime alone has.

    Exact ones only: no approximation of GELU. Number of heads and hidden size are read from the graph.

    Attributes:
        tool: `onnxruntime` matches graphs as BERT's were exported by tracing
            (https://onnxruntime.ai/docs/performance/transformers-optimization.html); `onnxscript` those of the dynamo
            exporter, masked attention among them (its `rewriter.ort_fusions`).
    """

    tool: Literal["onnxruntime", "onnxscript"]

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript", "onnx-ir")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`. A graph in which nothing was fused is left as it was, whatever else the tool tidied up."""

        def fuse(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, str]] | None:
            before = _own_nodes(model)
            after = _by_onnxscript(model) if self.tool == "onnxscript" else _by_onnxruntime(source, materials)
            made = _own_nodes(after) - before
            if not made:
                return None
            return after, {"fused": ", ".join(f"{count} {name}" for name, count in sorted(made.items()))}

        return rewritten(source, folder, fuse)


def _by_onnxruntime(source: Path, materials: Materials) -> onnx.ModelProto:
    if sum(path.stat().st_size for path in source.parent.iterdir()) > _LARGEST:
        raise UnsupportedModelError("ONNX Runtime's transformer tool takes ten times the memory of a model over 1 GiB.")
    with of_extra("optimize"):  # it needs sympy
        from onnxruntime.transformers.fusion_options import AttentionMaskFormat, FusionOptions  # noqa: PLC0415
        from onnxruntime.transformers.optimizer import optimize_by_fusion  # noqa: PLC0415

    options = FusionOptions("bert")
    # Its patterns are those of graphs whose constants are folded. Its own way there imports torch.
    with TemporaryDirectory() as folder:
        model = onnx.load(OrtLevel("basic")(source, Path(folder), materials).file)
        # By default it replaces the mask by the number of tokens before the padding, which is another thing where the
        # padding is on the left.
        options.attention_mask_format = AttentionMaskFormat.AttentionMask
        with chdir(folder):  # where its shape inference is not complete, it leaves a file in the working folder
            fused: onnx.ModelProto = optimize_by_fusion(model, "bert", optimization_options=options).model
    return fused


def _by_onnxscript(model: onnx.ModelProto) -> onnx.ModelProto:
    with of_extra("optimize"):
        import onnx_ir as ir  # noqa: PLC0415 - the `optimize` extra
        from onnxscript.rewriter.ort_fusions import optimize_for_ort  # noqa: PLC0415
    fused, _ = optimize_for_ort(ir.serde.deserialize_model(model))
    return ir.serde.serialize_model(fused)


def _own_nodes(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in all_nodes(model.graph) if node.domain == "com.microsoft")
