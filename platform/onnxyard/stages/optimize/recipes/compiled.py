"""Recipes that end in another runtime's form: compiled modules, ORT format, contexts of a provider."""

from __future__ import annotations

from onnxyard.stages.optimize.passes.ep_context import EpContext
from onnxyard.stages.optimize.passes.iree_compile import IreeCompile
from onnxyard.stages.optimize.passes.nnef_convert import NnefConvert
from onnxyard.stages.optimize.passes.ort_format import OrtFormat
from onnxyard.stages.optimize.passes.ort_level import OrtLevel
from onnxyard.stages.optimize.recipes.recipe import Recipe

COMPILED: tuple[Recipe, ...] = (
    Recipe("iree", "compiled for this processor by IREE", (OrtLevel("basic"), IreeCompile()), "fp32", ("iree",), 40),
    Recipe("nnef", "converted to NNEF", (NnefConvert(),), "fp32", ("nnef",), 41),
    # No better than the graph itself on this machine: for those who know what they need them for.
    Recipe(
        "ort-format",
        "ORT format and the kernels it needs, for embedded builds",
        (OrtFormat(),),
        "fp32",
        ("onnxruntime:CPUExecutionProvider",),
        42,
        asked=True,
    ),
    Recipe(
        "ep-context-openvino",
        "compiled ahead of time by OpenVINO's provider",
        (OrtLevel("basic"), EpContext("OpenVINOExecutionProvider")),
        "fp32",
        ("onnxruntime:OpenVINOExecutionProvider",),
        43,
        asked=True,
    ),
    Recipe(
        "ep-context-qnn",
        "compiled ahead of time by QNN's provider",
        (OrtLevel("basic"), EpContext("QNNExecutionProvider")),
        "fp32",
        ("onnxruntime:QNNExecutionProvider",),
        44,
        asked=True,
    ),
)
