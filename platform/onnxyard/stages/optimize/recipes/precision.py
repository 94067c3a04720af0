"""Recipes that change the arithmetic's precision: fp16, bf16, int8, int4, and mixtures of them."""

from __future__ import annotations

from onnxyard.stages.optimize.passes.accuracy_aware import QuantizeAccuracyAware
from onnxyard.stages.optimize.passes.activation_ranges import MeasureRanges
from onnxyard.stages.optimize.passes.float16 import Float16
from onnxyard.stages.optimize.passes.half_weights import HalfWeights
from onnxyard.stages.optimize.passes.int4_weights import QuantizeWeightsInt4
from onnxyard.stages.optimize.passes.nncf_int8 import QuantizeWithNncf
from onnxyard.stages.optimize.passes.ort_level import OrtLevel
from onnxyard.stages.optimize.passes.qnn_qdq import QuantizeForQnn
from onnxyard.stages.optimize.passes.quantize_dynamic import QuantizeDynamic
from onnxyard.stages.optimize.passes.quantize_static import QuantizeStatic
from onnxyard.stages.optimize.recipes.recipe import Recipe

_BASELINE = OrtLevel("basic")
_RANGED = (_BASELINE, MeasureRanges())
"""What most recipes begin with; it is made once and found on the shelf by the others."""
_ORT = ("onnxruntime",)
_ALL = ("onnxruntime", "openvino")
_QNN = ("onnxruntime:QNNExecutionProvider",)

PRECISION: tuple[Recipe, ...] = (
    Recipe("int8-qdq", "static int8 (S8S8)", (*_RANGED, QuantizeStatic()), "int8", _ALL, 10),
    Recipe("int8-dynamic", "int8 weights, activations at each call", (_BASELINE, QuantizeDynamic()), "int8", _ORT, 11),
    Recipe("int8-u8s8", "static int8 (U8S8)", (*_RANGED, QuantizeStatic(activations="uint8")), "int8", _ALL, 12),
    Recipe(
        "int8-entropy",
        "static int8 (U8S8), ranges by entropy",
        (*_RANGED, QuantizeStatic("entropy", activations="uint8")),
        "int8",
        _ALL,
        13,
    ),
    Recipe(
        "int8-percentile",
        "static int8 (U8S8), outliers clipped",
        (*_RANGED, QuantizeStatic("percentile", activations="uint8")),
        "int8",
        _ALL,
        14,
    ),
    Recipe("int8-nncf", "static int8 by NNCF", (_BASELINE, QuantizeWithNncf()), "int8", _ALL, 15),
    Recipe(
        "int8-aware",
        "static int8 (U8S8), the most harmful layers in float",
        (*_RANGED, QuantizeAccuracyAware(activations="uint8")),
        "int8",
        _ALL,
        16,
    ),
    Recipe(
        "mixed-int8-fp16",
        "as int8-aware, the other weights stored in fp16",
        (*_RANGED, QuantizeAccuracyAware(activations="uint8"), HalfWeights("fp16")),
        "int8",
        _ALL,
        18,
    ),
    Recipe("fp16", "fp16 weights and arithmetic", (*_RANGED, Float16()), "fp16", _ALL, 7),
    Recipe("fp16-weights", "weights stored in fp16", (_BASELINE, HalfWeights("fp16")), "fp16", _ALL, 6),
    Recipe("bf16-weights", "weights stored in bf16", (_BASELINE, HalfWeights("bf16")), "bf16", _ALL, 6),
    Recipe("int4-weights", "matrices in int4 (MatMulNBits)", (_BASELINE, QuantizeWeightsInt4()), "int4", _ORT, 17),
    Recipe(
        "int4-weights-portable",
        "matrices in int4 (DequantizeLinear of opset 21)",
        (_BASELINE, QuantizeWeightsInt4("standard")),
        "int4",
        _ALL,
        17,
    ),
    Recipe("qnn-a8w8", "QDQ for QNN, 8 bits", (*_RANGED, QuantizeForQnn()), "int8", _QNN, 20),
    Recipe("qnn-a16w8", "QDQ for QNN, activations in 16 bits", (*_RANGED, QuantizeForQnn("uint16")), "int8", _QNN, 21),
)
