"""Recipes that rewrite the graph and leave its arithmetic in the precision it was exported in.

What ONNX Runtime or OpenVINO would do by themselves when they load is here only where it shows: in loading time, in
size, or in what a later pass finds. The rest are rewritings that the runtimes do not make.
"""

from __future__ import annotations

from onnxyard.project.agreement import BASELINE
from onnxyard.stages.optimize.passes.batch_norm import FoldBatchNorm
from onnxyard.stages.optimize.passes.dead_weights import DropDeadWeights
from onnxyard.stages.optimize.passes.fold_constants import FoldConstants
from onnxyard.stages.optimize.passes.onnxscript_optimizer import OnnxscriptOptimizer
from onnxyard.stages.optimize.passes.onnxslim_simplifier import OnnxslimSimplifier
from onnxyard.stages.optimize.passes.ort_level import OrtLevel
from onnxyard.stages.optimize.passes.transformer_fusions import TransformerFusions
from onnxyard.stages.optimize.recipes.recipe import Recipe

_ANY = ("onnxruntime", "openvino")
_ORT_ONLY = ("onnxruntime:CPUExecutionProvider",)
"""Their nodes are ONNX Runtime's own, with kernels for its CPU provider."""

GRAPH: tuple[Recipe, ...] = (
    Recipe(BASELINE, "constants folded, idle nodes dropped", (OrtLevel("basic"),), "fp32", _ANY, 0),
    Recipe("as-exported", "the exported graph as it is", (), "fp32", _ANY, 1),
    Recipe("onnxscript", "rewritten by onnxscript's rules", (OnnxscriptOptimizer(),), "fp32", _ANY, 2),
    Recipe("onnxslim", "simplified by OnnxSlim", (OnnxslimSimplifier(),), "fp32", _ANY, 3),
    Recipe(
        "batch-norm",
        "batch normalization folded into the layers around it",
        (FoldBatchNorm(),),
        "fp32",
        _ANY,
        4,
    ),
    Recipe(
        "all-portable",
        "every rewriting that stays in the standard",
        (OnnxscriptOptimizer(), OnnxslimSimplifier(), FoldConstants(), FoldBatchNorm(), DropDeadWeights()),
        "fp32",
        _ANY,
        5,
    ),
    Recipe(
        "transformer-onnxscript",
        "attention and its surroundings fused, by onnxscript's patterns",
        (TransformerFusions("onnxscript"),),
        "fp32",
        _ORT_ONLY,
        6,
    ),
    Recipe(
        "transformer-onnxruntime",
        "attention and its surroundings fused, by ONNX Runtime's patterns",
        (TransformerFusions("onnxruntime"),),
        "fp32",
        _ORT_ONLY,
        6,
    ),
    Recipe("ort-extended", "ONNX Runtime's fusions, ahead of time", (OrtLevel("extended"),), "fp32", _ORT_ONLY, 7),
    Recipe(
        "ort-all",
        "ONNX Runtime's fusions and the layout for this processor, ahead of time",
        (OrtLevel("all"),),
        "fp32",
        _ORT_ONLY,
        8,
    ),
)
