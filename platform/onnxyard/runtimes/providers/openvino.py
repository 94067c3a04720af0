"""OpenVINO as a plug-in of ONNX Runtime. On CPUs it wants one of Intel's; OpenVINO by itself takes any x86 and Arm."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.providers.plug_in import PlugIn
from onnxyard.runtimes.providers.provider import FALLBACK, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnxruntime as ort

PLUG_IN = PlugIn(
    "OpenVINOExecutionProvider",
    module="onnxruntime_ep_openvino",
    package="onnxruntime-ep-openvino",
    extra="runtimes",
    takes="processors, GPUs and NPUs by Intel",
    remedy="Take the runtime 'openvino', which runs on other processors too.",
)
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


def _attach(options: ort.SessionOptions, settled: Mapping[str, str], threads: int) -> list[Any]:
    device = next(each for each in PLUG_IN.devices() if each.ep_metadata["ov_device"] == "CPU")
    precision = settled["precision"]
    if _CAPABILITIES[precision] not in device.ep_metadata["OPTIMIZATION_CAPABILITIES"].split():
        raise UnsupportedModelError(
            f"{precision} was asked for, but OpenVINO does not compute in it on this processor.",
            remedy="Leave the option 'precision' out, or run on a processor with instructions for it.",
        )
    config = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    options.add_provider_for_devices([device], {"load_config": json.dumps({"CPU": config})})
    return []


OPENVINO = Provider(
    name=PLUG_IN.name,
    options=MappingProxyType({"precision": ("f32", "bf16", "f16"), **FALLBACK}),
    numeric=frozenset({"precision", *FALLBACK}),
    lack=PLUG_IN.lack,
    attach=_attach,
    package=PLUG_IN.package,
    devices=lambda: tuple(each.ep_metadata["FULL_DEVICE_NAME"] for each in PLUG_IN.devices()),
)
